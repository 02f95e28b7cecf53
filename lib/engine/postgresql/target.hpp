// The database a restore writes to: whether it is there, making one, putting one in another's
// place.
//
// Databases of ours have names that begin with "dbbackup_scratch_". Whoever makes one holds an
// advisory lock on its name for as long as it is needed, so a scratch database whose lock is free
// was left by a crash, and is dropped by the next one that comes along.
//
// Threads: one at a time. Owns: its connection. Errors: those of Connection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/postgresql/login.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::postgresql {

std::string scratch_name(const std::string& unique);

class Server {
 public:
  // Connects to the maintenance database.
  Server(const Login& login, util::Task& task);

  // 32 letters and digits that nobody else gets.
  std::string unique_word();
  // `properties`: lines of extras.hpp's kDatabaseStream; encoding and locale are taken from them.
  void create(const std::string& database, const std::vector<std::string>& properties);
  void drop(const std::string& database);
  // Ends the sessions of `database` and lets `replacement` take its name. The old one is dropped.
  void replace(const std::string& database, const std::string& replacement);
  // Owner, limit, settings, grants and comment.
  void set_properties(const std::string& database, const std::vector<std::string>& properties,
                      bool no_owner);
  // Holds the name until the object goes.
  void reserve(const std::string& scratch);
  // Drops scratch databases that nobody holds; says which.
  void drop_leftovers(util::Task& task);

  void set_stop(const std::stop_token& stop) { connection_->set_stop(stop); }

 private:
  void drop_subscriptions(const std::string& database);

  const Login login_;
  std::unique_ptr<Connection> connection_;
};

// Empty when there is no such database.
std::unique_ptr<Connection> connect_if_there(const Login& login, const std::string& database,
                                             const std::stop_token& stop);

}  // namespace dbbackup::engine::postgresql
