#include "engine/postgresql/login.hpp"

#include <algorithm>
#include <array>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Parameters of a URL that go to libpq as they are. Those that carry secrets, name other files of
// settings or change what a session means are not among them.
constexpr std::array kUrlParameters{"sslmode",
                                    "sslrootcert",
                                    "sslcert",
                                    "sslkey",
                                    "sslcrl",
                                    "sslsni",
                                    "gssencmode",
                                    "krbsrvname",
                                    "channel_binding",
                                    "hostaddr",
                                    "connect_timeout",
                                    "keepalives",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "tcp_user_timeout",
                                    "target_session_attrs",
                                    "ssl_min_protocol_version",
                                    "application_name"};

util::Milliseconds parse_lock_timeout(const std::string& value) {
  const auto duration = util::parse_duration(value);
  if (!duration || duration->count() < 1) {
    throw Error(ErrorCode::usage,
                cat("option lock_timeout: \"", util::printable(value), "\" is not a duration"),
                "for example 30s or 2m");
  }
  return *duration;
}

bool parse_switch(const std::string& name, const std::string& value) {
  if (value == "true") return true;
  if (value == "false") return false;
  throw Error(ErrorCode::usage,
              cat("option ", name, ": \"", util::printable(value), "\" is unknown"),
              "one of true, false");
}

std::string parse_folder(const std::string& value) {
  if (value.starts_with('/')) return value;
  throw Error(
      ErrorCode::usage,
      cat("option program_folder: \"", util::printable(value), "\" is not an absolute path"),
      "for example /usr/lib/postgresql/15/bin");
}

std::string quoted_value(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

void parse_authority(std::string authority, Address& address) {
  const std::size_t at = authority.rfind('@');
  if (at != std::string::npos) {
    address.user = percent_decode(authority.substr(0, at));
    authority.erase(0, at + 1);
  }
  const bool bracketed = authority.starts_with('[');
  const std::size_t host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string::npos) {
    throw Error(ErrorCode::usage, "the host of the database URL has no closing bracket");
  }
  address.host =
      percent_decode(bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end));
  const std::size_t colon = authority.find(':', bracketed ? host_end : 0);
  if (colon == std::string::npos) return;
  const auto port = util::parse_int(authority.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) {
    throw Error(ErrorCode::usage, "the port of the database URL is not a number from 1 to 65535");
  }
  address.port = static_cast<std::uint16_t>(*port);
}

void parse_parameter(const std::string& parameter, Address& address) {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string::npos) {
    throw Error(ErrorCode::usage,
                cat("URL parameter \"", util::printable(parameter), "\" has no value"));
  }
  const std::string name = percent_decode(parameter.substr(0, equals));
  const std::string value = percent_decode(parameter.substr(equals + 1));
  if (name == "host") {  // postgresql:///shop?host=/run/postgresql
    address.host = value;
    return;
  }
  if (name == "password" || name == "sslpassword" || name == "passfile") {
    throw Error(ErrorCode::usage, cat("a database URL must not contain ", name),
                "give the password with --password-stdin, --password-file, --password-env or "
                "--password-credential");
  }
  const std::vector<std::string> known(kUrlParameters.begin(), kUrlParameters.end());
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const auto near = util::nearest(name, known);
    throw Error(ErrorCode::usage,
                cat("a PostgreSQL URL has no parameter \"", util::printable(name), "\""),
                near ? cat("did you mean \"", *near, "\"?")
                     : cat("parameters: host, ", util::join(known, ", ")));
  }
  address.parameters.emplace_back(name, value);
}
}  // namespace

void parse_postgresql_url(const std::string& rest, Address& address) {
  const std::size_t question = rest.find('?');
  const std::string where = rest.substr(0, question);
  const std::size_t slash = where.find('/');
  parse_authority(where.substr(0, slash), address);
  if (slash != std::string::npos) address.database = percent_decode(where.substr(slash + 1));
  if (address.database.empty()) {
    throw Error(ErrorCode::usage, "the database URL names no database",
                "write postgresql://user@host:5432/database");
  }
  if (address.user.empty()) {
    throw Error(ErrorCode::usage, "the database URL names no user",
                "write postgresql://user@host:5432/database");
  }
  if (question == std::string::npos) return;
  for (const std::string& parameter : util::split(rest.substr(question + 1), '&')) {
    parse_parameter(parameter, address);
  }
}

std::vector<OptionInfo> postgresql_options() {
  const auto is_switch = [](const std::string& name) {
    return [name](const std::string& value) { parse_switch(name, value); };
  };
  return {
      {"lock_timeout", "how long to wait for locks of other sessions (60s)",
       [](const std::string& value) { parse_lock_timeout(value); }},
      {"program_folder", "folder of pg_dump and pg_restore (found by version)",
       [](const std::string& value) { parse_folder(value); }},
      {"maintenance_database", "database from which others are created and dropped (postgres)",
       [](const std::string&) {}},
      {"no_owner", "restores leave owners and grants out (false)", is_switch("no_owner")},
      {"create_roles", "restores create the roles that the server does not have (false)",
       is_switch("create_roles")},
  };
}

Login make_login(const Address& address, const Settings& settings) {
  Login login;
  login.user = address.user;
  login.host = address.host;
  if (address.port != 0) login.port = std::to_string(address.port);
  login.database = address.database;
  login.more = address.parameters;
  login.password = settings.password;
  for (const auto& [name, value] : settings.options) {
    if (name == "lock_timeout") login.lock_timeout = parse_lock_timeout(value);
    if (name == "program_folder") login.program_folder = parse_folder(value);
    if (name == "maintenance_database") login.maintenance_database = value;
    if (name == "no_owner") login.no_owner = parse_switch(name, value);
    if (name == "create_roles") login.create_roles = parse_switch(name, value);
  }
  return login;
}

namespace {
Parameters without_password(const Login& login, const std::string& database) {
  Parameters parameters{{"application_name", "dbbackup"}};
  parameters.insert(parameters.end(), login.more.begin(), login.more.end());
  parameters.emplace_back("client_encoding", "UTF8");
  parameters.emplace_back("user", login.user);
  parameters.emplace_back("dbname", database);
  if (!login.host.empty()) parameters.emplace_back("host", login.host);
  if (!login.port.empty()) parameters.emplace_back("port", login.port);
  return parameters;
}
}  // namespace

Parameters Login::parameters(const std::string& to_database) const {
  Parameters parameters = without_password(*this, to_database);
  const std::string secret = password ? password() : std::string();
  if (!secret.empty()) parameters.emplace_back("password", secret);
  return parameters;
}

std::string Login::connection_string(const std::string& to_database) const {
  std::string text;
  for (const auto& [name, value] : without_password(*this, to_database)) {
    if (name == "client_encoding") continue;  // pg_dump chooses its own
    text += cat(name, "=", quoted_value(value), " ");
  }
  return text;
}

std::string Login::shown() const {
  return util::printable(
      cat(user, "@", host.empty() ? "local" : host, port.empty() ? "" : ":" + port, "/", database));
}

}  // namespace dbbackup::engine::postgresql
