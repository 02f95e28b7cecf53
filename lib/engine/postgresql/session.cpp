#include "engine/postgresql/session.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr int kSnapshotAttempts = 5;

// Source: PostgreSQL's pg_dump.c, setup_connection(); the time zone, lc_monetary and the planner's
// settings are ours, so that equal values give equal bytes and the cheapest order is taken.
constexpr const char* kExactValues =
    "SELECT pg_catalog.set_config('search_path', '', false); SET DateStyle = ISO; "
    "SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET extra_float_digits = 3; "
    "SET bytea_output = hex; SET xmloption = content; SET lc_monetary = 'C'; "
    "SET standard_conforming_strings = on; SET synchronize_seqscans = off; "
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
    "SET row_security = off; SET enable_sort = off; SET enable_bitmapscan = off; SET jit = off; "
    "SET max_parallel_workers_per_gather = 0; SET check_function_bodies = off; "
    "SET client_min_messages = warning; "
    "SELECT pg_catalog.set_config(name, CASE name WHEN 'restrict_nonsystem_relation_kind' "
    "THEN 'view, foreign-table' ELSE '0' END, false) FROM pg_catalog.pg_settings WHERE name IN "
    "('restrict_nonsystem_relation_kind', 'transaction_timeout', 'idle_session_timeout')";

std::string backend(Connection& connection) {
  return connection.value("SELECT pg_catalog.pg_backend_pid()");
}

void begin(Connection& connection, const std::string& snapshot) {
  const std::string before = backend(connection);
  connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  // Before any other statement of the transaction.
  if (!snapshot.empty()) {
    connection.execute(cat("SET TRANSACTION SNAPSHOT ", quote_text(snapshot)));
  }
  if (backend(connection) == before) return;
  throw Error(ErrorCode::unsupported,
              "the connection goes through a pooler that changes sessions between transactions",
              "connect to the server itself, or to a pool in session mode");
}

void lock_tables(Connection& leader, const std::vector<StoredTable>& tables) {
  std::string names;
  for (const StoredTable& table : tables) {
    if (table.kind == "f") continue;
    names += cat(names.empty() ? "" : ", ", table.kind == "r" ? "ONLY " : "", table.sql());
  }
  if (!names.empty()) leader.execute(cat("LOCK TABLE ", names, " IN ACCESS SHARE MODE"));
}

std::string position_of(Connection& leader) {
  return leader.value(
      "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
      "ELSE pg_catalog.pg_current_wal_lsn() END");
}
}  // namespace

std::unique_ptr<Connection> open_session(const Login& login, const std::string& database,
                                         const std::stop_token& stop) {
  auto connection = std::make_unique<Connection>(login.parameters(database), stop);
  connection->execute(cat(kExactValues, "; SET lock_timeout = ", login.lock_timeout.count()));
  return connection;
}

std::string server_encoding(Connection& connection) {
  return connection.value("SELECT pg_catalog.current_setting('server_encoding')");
}

Snapshot open_snapshot(const Login& login, const Scope& scope, util::Task& task) {
  Snapshot snapshot;
  snapshot.leader = open_session(login, login.database, task.stop());
  Connection& leader = *snapshot.leader;
  snapshot.encoding = server_encoding(leader);
  for (int attempt = 1;; ++attempt) {
    begin(leader, {});
    try {
      snapshot.tables = choose(read_tables(leader), scope);
      lock_tables(leader, snapshot.tables);
      break;
    } catch (const ServerError& error) {
      // A table that the snapshot shows was dropped before it was locked: look again.
      if (error.state() != "42P01" || attempt == kSnapshotAttempts) throw;
      leader.execute("ROLLBACK");
    }
  }
  snapshot.name = leader.value("SELECT pg_catalog.pg_export_snapshot()");
  snapshot.position = position_of(leader);
  for (unsigned i = 0; i < std::max(scope.parallel, 1U); ++i) {
    auto reader = open_session(login, login.database, task.stop());
    begin(*reader, snapshot.name);
    snapshot.readers.push_back(std::move(reader));
  }
  return snapshot;
}

void run_units(Connections& connections, const std::vector<Unit>& units, const util::Task& task,
               const std::stop_token& pointless) {
  std::stop_source stop;
  const std::stop_callback outer(task.stop(), [&] { stop.request_stop(); });
  const std::stop_callback beside(pointless, [&] { stop.request_stop(); });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](Connection& connection) {
    connection.set_stop(stop.get_token());
    try {
      while (!stop.stop_requested()) {
        const std::size_t unit = next++;
        if (unit >= units.size()) break;
        units[unit](connection);
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
      stop.request_stop();
    }
    connection.set_stop(task.stop());
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(connections.size(), units.size()); ++i) {
      threads.emplace_back([&, i] { work(*connections[i]); });
    }
    work(*connections.front());
  }
  task.check();
  if (failure && !pointless.stop_requested()) std::rethrow_exception(failure);
}

}  // namespace dbbackup::engine::postgresql
