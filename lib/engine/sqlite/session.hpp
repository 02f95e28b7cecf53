// A connection that a stop request interrupts, and a few of them seeing one and the same state of a
// database.
//
// SQLite as packaged has no snapshot API. Two read transactions see the same state when no commit
// lies between their beginnings, and a third connection can tell: PRAGMA data_version changes with
// every commit of others. With busy writers that may never succeed, so the third connection then
// takes the write lock for the instant in which the readers begin. Where the file cannot be written
// to, one reader has to do.
//
// Threads: each connection belongs to one thread at a time.
// Errors: not_found, permission_denied, source_damaged, unavailable; cancelled.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlite/sqlite.hpp"
#include "util/task.hpp"
#include "util/time.hpp"

namespace dbbackup::engine::sqlite_engine {

class Session {
 public:
  Session(sqlite::Connection connection, const std::stop_token& stop)
      : connection_(std::move(connection)), interrupt_(stop, [this] { connection_.interrupt(); }) {}
  sqlite::Connection& connection() { return connection_; }

 private:
  sqlite::Connection connection_;
  std::stop_callback<std::function<void()>> interrupt_;
};

// Connections that work together. The keeper goes last: SQLite removes -wal and -shm when a
// writable connection is the last to close, and leaves them behind when a read-only one is.
struct Sessions {
  std::unique_ptr<Session> keeper;
  std::vector<std::unique_ptr<Session>> readers;

  sqlite::Connection& front() const { return readers.front()->connection(); }
};

// The first column of the first row of `PRAGMA name`.
std::int64_t pragma_integer(sqlite::Connection& connection, std::string_view name);
std::string pragma_text(sqlite::Connection& connection, std::string_view name);

// Says what is wrong with a path before SQLite does with fewer words. Returns the file's size.
std::uint64_t require_database_file(const std::string& path);

// Connections inside read transactions on the same state; at least one, at most `wanted`.
Sessions open_snapshot(const std::string& path, unsigned wanted, util::Milliseconds busy_timeout,
                       util::Task& task);

// One piece of work for any of several connections; it watches the token.
using Unit = std::function<void(sqlite::Connection& connection, const std::stop_token& stop)>;

// Works the units off in order, one thread per session. The first failure stops the others and is
// thrown.
void run_units(Sessions& sessions, const std::vector<Unit>& units, const util::Task& task);

}  // namespace dbbackup::engine::sqlite_engine
