// Several connections that see one and the same state of a database.
//
// In order of preference: (1) no lock: the readers begin and then agree on the binary log position
// of their snapshots (MariaDB, Percona); (2) MariaDB's BACKUP STAGE; (3) FLUSH TABLES WITH READ
// LOCK, with LOCK INSTANCE FOR BACKUP where the server has it; (4) LOCK TABLES .. READ; (5) one
// reader alone. Tables that are not transactional are not part of any snapshot: they are read
// first, while the lock is held; without a lock they are refused, or told as such when the option
// consistency is "relaxed".
//
// Every table is touched once by the first reader, which keeps others from altering it until the
// end of the backup; one that was altered before makes the beginning fail or start over.
//
// Threads: one. Errors: unavailable (locks, altered tables), refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/mysql/crew.hpp"
#include "engine/mysql/schema.hpp"

namespace dbbackup::engine::mysql {

struct Snapshot {
  Crew readers;
  std::optional<Connection> lock;  // reset: released
  Server server;
  Schema schema;         // of the scope
  std::string kind;      // "snapshot", "mixed"
  std::string method;    // how it was obtained
  std::string position;  // "binlog.000002:4711 gtid 0-1-42"; empty when the server tells none
  std::vector<std::string> warnings;
};

Snapshot open_snapshot(Run& run, const Place& place, const Scope& scope, util::Task& task);

// Readers of a database that nobody else writes to: what a restore has just made.
Snapshot open_readers(Run& run, const std::string& database, const Scope& scope);

}  // namespace dbbackup::engine::mysql
