#include "engine/mysql/login.hpp"

#include <algorithm>
#include <map>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

template <typename T>
T one_of(const std::string& option, const std::string& value,
         const std::vector<std::pair<std::string, T>>& known) {
  std::vector<std::string> names;
  for (const auto& [name, meaning] : known) {
    if (name == value) return meaning;
    names.push_back(name);
  }
  throw Error(ErrorCode::usage,
              cat("option ", option, ": \"", util::printable(value), "\" is unknown"),
              cat("one of ", util::join(names, ", ")));
}

util::Milliseconds duration(const std::string& option, const std::string& value) {
  const auto parsed = util::parse_duration(value);
  if (parsed && parsed->count() >= 1000) return *parsed;
  throw Error(ErrorCode::usage,
              cat("option ", option, ": \"", util::printable(value),
                  "\" is not a duration of at least a second"),
              "for example 30s or 2m");
}

std::string absolute_path(const std::string& option, const std::string& value) {
  if (value.starts_with('/')) return value;
  throw Error(ErrorCode::usage,
              cat("option ", option, ": \"", util::printable(value), "\" is not an absolute path"));
}

struct Option {
  std::string name;
  std::string meaning;
  void (*apply)(const std::string& name, const std::string& value, Place& place);
};

const std::vector<Option>& options() {
  static const std::vector<Option> list = {
      {"socket", "path of the server's Unix socket",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.socket = absolute_path(name, value);
       }},
      {"tls",
       "off, preferred (default: encrypted when the server can), required, or verify (certificate "
       "and host name are checked)",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.tls = one_of<Tls>(name, value,
                                       {{"off", Tls::off},
                                        {"preferred", Tls::preferred},
                                        {"required", Tls::required},
                                        {"verify", Tls::verify}});
       }},
      {"tls_ca", "file with the certificates to trust",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.tls_ca = absolute_path(name, value);
       }},
      {"tls_cert", "file with the client's certificate",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.tls_cert = absolute_path(name, value);
       }},
      {"tls_key", "file with the client's private key",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.tls_key = absolute_path(name, value);
       }},
      {"connect_timeout", "how long to wait for a connection (10s)",
       [](const std::string& name, const std::string& value, Place& place) {
         place.login.connect_timeout = duration(name, value);
       }},
      {"lock_wait", "how long a backup waits for locks, and its locks for others (30s)",
       [](const std::string& name, const std::string& value, Place& place) {
         place.choices.lock_wait = duration(name, value);
       }},
      {"consistency",
       "strict (default): a backup that cannot hold non-transactional tables still is refused; "
       "relaxed: it is made, and says so",
       [](const std::string& name, const std::string& value, Place& place) {
         place.choices.consistency = one_of<Consistency>(
             name, value, {{"strict", Consistency::strict}, {"relaxed", Consistency::relaxed}});
       }},
      {"definer",
       "keep (default): views, routines, triggers and events keep their definer; login: the "
       "restoring account becomes it",
       [](const std::string& name, const std::string& value, Place& place) {
         place.choices.definers =
             one_of<Definers>(name, value, {{"keep", Definers::keep}, {"login", Definers::login}});
       }},
      {"users",
       "skip (default), or restore: a restore also creates the accounts of the artifact that are "
       "missing, with their grants",
       [](const std::string& name, const std::string& value, Place& place) {
         place.choices.restore_users =
             one_of<bool>(name, value, {{"skip", false}, {"restore", true}});
       }},
      {"binlog",
       "on (default): a restore is written to the server's binary log and reaches its replicas; "
       "off: it is not",
       [](const std::string& name, const std::string& value, Place& place) {
         place.choices.binlog =
             one_of<Binlog>(name, value, {{"on", Binlog::on}, {"off", Binlog::off}});
       }},
  };
  return list;
}

void apply(const Options& given, Place& place) {
  for (const auto& [name, value] : given) {
    for (const Option& option : options()) {
      if (option.name == name) option.apply(name, value, place);
    }
  }
}

std::uint16_t port_number(const std::string& text) {
  const auto port = util::parse_int(text);
  if (port && *port > 0 && *port < 65536) return static_cast<std::uint16_t>(*port);
  throw Error(ErrorCode::usage,
              cat("\"", util::printable(text), "\" in the database URL is not a port"));
}

// "host", "host:port", "[v6]:port"
void parse_host(const std::string& text, Address& address) {
  std::size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string::npos) {
      throw Error(ErrorCode::usage, "the database URL has a [ without its ]");
    }
    address.host = text.substr(1, bracket - 1);
    colon = bracket + 1 < text.size() ? bracket + 1 : std::string::npos;
  } else {
    address.host = percent_decode(text.substr(0, colon));
  }
  if (colon != std::string::npos) address.port = port_number(text.substr(colon + 1));
}
}  // namespace

void parse_mysql_url(const std::string& rest, Address& address) {
  const std::size_t question = rest.find('?');
  const std::string front = rest.substr(0, question);
  const std::size_t slash = front.find('/');
  std::string authority = front.substr(0, slash);
  if (slash != std::string::npos) address.database = percent_decode(front.substr(slash + 1));
  if (address.database.empty() || address.database.find('/') != std::string::npos) {
    throw Error(ErrorCode::usage, "the database URL does not name one database",
                "write mariadb://user@host:port/database; a slash in a name is %2F");
  }
  const std::size_t at = authority.rfind('@');
  if (at != std::string::npos) {
    address.user = percent_decode(authority.substr(0, at));
    authority.erase(0, at + 1);
  }
  parse_host(authority, address);
  if (question != std::string::npos) {
    for (const std::string& parameter : util::split(rest.substr(question + 1), '&')) {
      const std::size_t equals = parameter.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorCode::usage,
                    cat("URL parameter \"", util::printable(parameter), "\" has no value"));
      }
      address.parameters.emplace_back(percent_decode(parameter.substr(0, equals)),
                                      percent_decode(parameter.substr(equals + 1)));
    }
  }
  check_options(address.engine, address.parameters);
}

Place place_of(const Address& address, const Options& record) {
  Place place;
  place.login.host = address.host.empty() ? "localhost" : address.host;
  place.login.port = address.port;
  place.login.user = address.user;
  place.database = address.database;
  apply(address.parameters, place);
  apply(record, place);
  if (place.login.tls_cert.empty() != place.login.tls_key.empty()) {
    throw Error(ErrorCode::usage, "options tls_cert and tls_key belong together");
  }
  return place;
}

std::vector<OptionInfo> mysql_options() {
  std::vector<OptionInfo> list;
  for (const Option& option : options()) {
    list.push_back({option.name, option.meaning, [&option](const std::string& value) {
                      Place place;
                      option.apply(option.name, value, place);
                    }});
  }
  return list;
}

}  // namespace dbbackup::engine::mysql
