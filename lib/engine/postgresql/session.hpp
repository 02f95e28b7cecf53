// Sessions that read or write values exactly, and several of them on one state of a database.
//
// The leader begins a transaction, locks the tables against being dropped or altered, and exports
// its snapshot; the readers, and pg_dump, begin theirs on it. All of them see the same state, while
// others go on writing.
//
// Threads: a connection belongs to one thread at a time; run_units() shares them out.
// Errors: those of Connection; unsupported behind a pooler that changes connections.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/postgresql/login.hpp"
#include "engine/postgresql/relations.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::postgresql {

using Connections = std::vector<std::unique_ptr<Connection>>;

// A connection with the settings under which values are exact and the same for everybody.
std::unique_ptr<Connection> open_session(const Login& login, const std::string& database,
                                         const std::stop_token& stop);
std::string server_encoding(Connection& connection);

struct Snapshot {
  std::unique_ptr<Connection> leader;
  Connections readers;
  std::string name;
  std::string position;  // LSN, on a standby that of the replay
  std::string encoding;
  std::vector<StoredTable> tables;  // chosen by the scope, locked
};
// With locks: as for a backup; without: for reading only.
Snapshot open_snapshot(const Login& login, const Scope& scope, util::Task& task);

// One piece of work for any of several connections.
using Unit = std::function<void(Connection&)>;
// Works the units off in order, one thread per connection. The first failure stops the others and
// is thrown. Returns early, without an error, when `pointless` asks for it: something beside has
// failed, and its caller knows what.
void run_units(Connections& connections, const std::vector<Unit>& units, const util::Task& task,
               const std::stop_token& pointless = {});

}  // namespace dbbackup::engine::postgresql
