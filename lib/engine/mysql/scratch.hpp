// The databases of drills: made beside the one a drill is about, removed afterwards.
//
// A drill holds a named lock of the server (GET_LOCK) for as long as it lives, called like its
// database. A database of a drill whose lock nobody holds was left behind by a crash; the next
// drill on that server removes it.
//
// Threads: one.
#pragma once

#include <optional>
#include <string>

#include "engine/mysql/connection.hpp"

namespace dbbackup::engine::mysql {

class Scratch {
 public:
  // `name`: unlike any other drill's, letters and digits.
  Scratch(Login login, std::string password, const std::string& name);

  const std::string& database() const { return database_; }
  // Takes the lock, and removes what crashed drills left. Errors: those of the connection.
  void begin(util::Task& task);
  void remove(util::Task& task);

 private:
  const Door door_;
  const std::string database_;
  std::optional<Connection> keeper_;
};

}  // namespace dbbackup::engine::mysql
