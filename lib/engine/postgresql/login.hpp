// Where a PostgreSQL database is and how to get in: a URL, the options of the database record and
// the stored password as libpq's connection parameters.
//
// Threads: values and pure functions. Errors: usage.
#pragma once

#include <functional>
#include <string>

#include "engine/engine.hpp"
#include "engine/entry.hpp"
#include "engine/postgresql/connection.hpp"
#include "util/time.hpp"

namespace dbbackup::engine::postgresql {

struct Login {
  std::string user;
  std::string host;  // name, address or a socket's folder; empty: libpq's default socket
  std::string port;
  std::string database;
  std::string maintenance_database = "postgres";  // to create and drop databases from
  Parameters more;                                // sslmode and the like
  std::function<std::string()> password;

  // What the options say.
  util::Milliseconds lock_timeout{60000};
  std::string program_folder;  // of pg_dump and pg_restore; empty: found by version
  bool no_owner = false;
  bool create_roles = false;

  // With the password.
  Parameters parameters(const std::string& to_database) const;
  // Without it, as one string for pg_dump and pg_restore.
  std::string connection_string(const std::string& to_database) const;
  // "app@127.0.0.1:5432/shop", for messages.
  std::string shown() const;
};

Login make_login(const Address& address, const Settings& settings);

void parse_postgresql_url(const std::string& rest, Address& address);
std::vector<OptionInfo> postgresql_options();

}  // namespace dbbackup::engine::postgresql
