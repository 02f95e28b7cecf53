#include "engine/mongodb/url.hpp"

#include "engine/entry.hpp"
#include "engine/mongodb/client.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr const char* kExample = "mongodb://user@host1,host2/database?replicaSet=NAME";

// Source: mongodb.com/docs/manual/reference/limits, "Naming Restrictions".
void require_database_name(const std::string& name) {
  if (name.empty()) {
    throw Error(ErrorCode::usage, "a MongoDB URL must name the database after the hosts",
                cat("for example ", kExample));
  }
  if (name.size() > 63 || name.find_first_of("/\\. \"$*<>:|?") != std::string::npos) {
    throw Error(ErrorCode::usage,
                cat("\"", util::printable(name), "\" is not a name of a MongoDB database"));
  }
  if (name == "local" || name == "config" || name == "admin") {
    throw Error(ErrorCode::usage,
                cat("database ", name, " belongs to the server and cannot be backed up by itself"),
                "users and roles of a database are kept with it; they live in admin");
  }
}

// The registry has refused user:password@ already; some options hold secrets as well.
void refuse_secrets(const std::string& name, const std::string& value) {
  const bool key_password = util::to_lower(name) == "tlscertificatekeyfilepassword" ||
                            util::to_lower(name) == "sslclientcertificatekeypassword";
  if (!key_password && value.find("AWS_SESSION_TOKEN") == std::string::npos) return;
  throw Error(ErrorCode::usage, cat("URL option ", util::printable(name), " holds a secret"),
              key_password ? "use a key file without a password that only the daemon can read"
                           : "temporary credentials do not outlive a schedule; use a user's");
}
}  // namespace

void parse_mongodb_url(const std::string& rest, Address& address) {
  const std::size_t slash = rest.find_first_of("/?");
  std::string authority = rest.substr(0, slash);
  std::string path;
  std::string query;
  if (slash != std::string::npos) {
    const std::size_t question = rest.find('?', slash);
    path = rest.substr(slash + 1, question == std::string::npos ? question : question - slash - 1);
    if (rest[slash] == '?') path.clear();
    if (question != std::string::npos) query = rest.substr(question + 1);
  }
  if (const std::size_t at = authority.rfind('@'); at != std::string::npos) {
    address.user = percent_decode(authority.substr(0, at));
    authority = authority.substr(at + 1);
  }
  address.host = percent_decode(authority);
  if (address.host.empty()) {
    throw Error(ErrorCode::usage, "a MongoDB URL must name a host", cat("for example ", kExample));
  }
  address.database = percent_decode(path);
  require_database_name(address.database);
  for (const std::string& option : util::split(query, '&')) {
    if (option.empty()) continue;
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) {
      throw Error(ErrorCode::usage,
                  cat("URL option \"", util::printable(option), "\" has no value"));
    }
    const std::string name = percent_decode(option.substr(0, equals));
    const std::string value = percent_decode(option.substr(equals + 1));
    refuse_secrets(name, value);
    address.parameters.emplace_back(name, value);
  }
  require_usable_url(address.url);
}

}  // namespace dbbackup::engine::mongodb
