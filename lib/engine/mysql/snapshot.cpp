#include "engine/mysql/snapshot.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr int kAttempts = 5;
constexpr unsigned kFirstWithBackupStage = 100400;
constexpr unsigned kFirstWithInstanceLock = 80000;

bool may_not(const Error& error) { return error.code() == ErrorCode::permission_denied; }

std::vector<std::string> not_transactional(const Schema& schema) {
  std::vector<std::string> names;
  for (const StoredTable& table : schema.tables) {
    if (!table.transactional && table.has_rows) names.push_back(util::printable(table.name));
  }
  return names;
}

void begin(Connection& reader) {
  reader.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

// File and position of the snapshot; empty where the server does not tell.
std::string snapshot_position(Connection& reader) {
  std::string file;
  std::string position;
  for (const Row& row : reader.query("SHOW STATUS LIKE 'Binlog\\_snapshot\\_%'")) {
    const std::string name = util::to_lower(row.at(0).value_or(""));
    if (name == "binlog_snapshot_file") file = row.at(1).value_or("");
    if (name == "binlog_snapshot_position") position = row.at(1).value_or("");
  }
  return file.empty() ? std::string() : cat(file, ":", position);
}

void touch(Connection& reader, const Schema& schema, util::Task& task) {
  for (const StoredTable& table : schema.tables) {
    if (!table.has_rows) continue;
    reader.execute(cat("SELECT 1 FROM ", quote_name(table.name), " LIMIT 1"));
    task.check();
  }
}

// What a retry may cure: a table altered or dropped between two looks.
bool is_passing(const Error& error) {
  return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::not_found;
}

class Opening {
 public:
  Opening(Run& run, const Place& place, const Scope& scope, util::Task& task)
      : run_(run), place_(place), scope_(scope), task_(task) {}

  Snapshot open() {
    const std::size_t wanted = std::max(1U, scope_.parallel);
    for (std::size_t i = 0; i < wanted; ++i) add_reader();
    snapshot_.server = read_server(first());
    snapshot_.schema = look();
    const std::vector<std::string> loose = not_transactional(snapshot_.schema);
    snapshot_.kind = "snapshot";
    if (loose.empty() && without_lock()) return finish();
    if (under_lock(loose)) return finish();
    if (!loose.empty()) {
      if (place_.choices.consistency == Consistency::strict) {
        throw Error(ErrorCode::refused,
                    cat("tables without transactions cannot be held still, because the login may "
                        "not lock: ",
                        util::join(loose, ", ")),
                    "grant LOCK TABLES on the database (or RELOAD), exclude the tables, or accept "
                    "it with --option consistency=relaxed");
      }
      snapshot_.kind = "mixed";
      snapshot_.warnings.push_back(cat("not part of the snapshot, because the login may not lock: ",
                                       util::join(loose, ", ")));
    }
    alone();
    return finish();
  }

 private:
  Connection& first() { return *snapshot_.readers.front(); }
  Schema look() { return choose(read_schema(first(), place_.database), scope_); }

  void add_reader() {
    snapshot_.readers.push_back(std::make_unique<Connection>(run_.door(), place_.database));
    set_patience(*snapshot_.readers.back());
  }

  void set_patience(Connection& connection) {
    const auto seconds = std::max<std::int64_t>(1, place_.choices.lock_wait.count() / 1000);
    connection.execute(cat("SET SESSION lock_wait_timeout=", seconds));
  }

  void end_reading() {
    for (const auto& reader : snapshot_.readers) reader->execute("ROLLBACK");
  }

  // Begins everywhere and looks at the tables; false when the readers disagree or a table changed.
  bool without_lock() {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      task_.check();
      for (const auto& reader : snapshot_.readers) begin(*reader);
      snapshot_.position = snapshot_position(first());
      const bool alone = snapshot_.readers.size() == 1;
      if (snapshot_.position.empty() && !alone) {
        end_reading();
        return false;
      }
      const bool equal = std::all_of(
          snapshot_.readers.begin(), snapshot_.readers.end(),
          [&](const auto& reader) { return snapshot_position(*reader) == snapshot_.position; });
      if (equal && hold_tables()) {
        snapshot_.method = alone ? "one reader" : "equal snapshot positions, no lock";
        return true;
      }
      end_reading();
    }
    return false;
  }

  bool hold_tables() {
    try {
      snapshot_.schema = look();
      touch(first(), snapshot_.schema, task_);
      return true;
    } catch (const Error& error) {
      if (!is_passing(error)) throw;
      return false;
    }
  }

  bool under_lock(const std::vector<std::string>& loose) {
    const bool took =
        lock_with(
            "BACKUP STAGE",
            [&](Connection& lock) {
              if (!snapshot_.server.mariadb || snapshot_.server.number < kFirstWithBackupStage)
                return false;
              for (const char* stage : {"START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"}) {
                lock.execute(cat("BACKUP STAGE ", stage));
              }
              return true;
            }) ||
        lock_with(
            "FLUSH TABLES WITH READ LOCK",
            [&](Connection& lock) {
              if (!snapshot_.server.mariadb && snapshot_.server.number >= kFirstWithInstanceLock) {
                lock.try_execute("LOCK INSTANCE FOR BACKUP");
              }
              lock.execute("FLUSH TABLES WITH READ LOCK");
              return true;
            }) ||
        lock_with("LOCK TABLES", [&](Connection& lock) {
          std::string list;
          for (const StoredTable& table : snapshot_.schema.tables) {
            if (!list.empty()) list += ", ";
            list += cat(quote_name(table.name), " READ");
          }
          if (list.empty()) return false;
          lock.execute(cat("LOCK TABLES ", list));
          return true;
        });
    if (!took) return false;
    for (const auto& reader : snapshot_.readers) begin(*reader);
    snapshot_.position = snapshot_position(first());
    if (snapshot_.position.empty()) snapshot_.position = master_position(*snapshot_.lock);
    snapshot_.schema = look();
    touch(first(), snapshot_.schema, task_);
    if (loose.empty()) snapshot_.lock.reset();
    return true;
  }

  template <typename Take>
  bool lock_with(const char* method, const Take& take) {
    try {
      snapshot_.lock.emplace(run_.door(), place_.database);
      set_patience(*snapshot_.lock);
      if (take(*snapshot_.lock)) {
        snapshot_.method = method;
        return true;
      }
    } catch (const Error& error) {
      if (!may_not(error)) throw error.with_context(cat("locking with ", method));
    }
    snapshot_.lock.reset();
    return false;
  }

  static std::string master_position(Connection& lock) {
    for (const char* statement : {"SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"}) {
      try {
        const auto rows = lock.query(statement);
        if (!rows.empty()) {
          return cat(rows[0].at(0).value_or(""), ":", rows[0].at(1).value_or(""));
        }
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
      }
    }
    return {};
  }

  void alone() {
    if (snapshot_.readers.size() > 1) {
      snapshot_.warnings.push_back(
          "one connection only: several cannot be given the same snapshot without the binary log "
          "or the privilege RELOAD or LOCK TABLES");
      snapshot_.readers.resize(1);
    }
    if (without_lock()) return;
    throw Error(ErrorCode::unavailable, "tables were altered each time the backup began",
                "try again when no ALTER TABLE runs");
  }

  Snapshot finish() {
    const std::size_t colon = snapshot_.position.rfind(':');
    std::optional<std::string> gtid;
    try {
      if (snapshot_.server.mariadb && colon != std::string::npos) {
        gtid = first().value(cat("SELECT BINLOG_GTID_POS(",
                                 quote_text(snapshot_.position.substr(0, colon)), ", ",
                                 snapshot_.position.substr(colon + 1), ")"));
      } else if (!snapshot_.server.mariadb && snapshot_.lock) {
        gtid = first().value("SELECT @@GLOBAL.gtid_executed");
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
    }
    if (gtid && !gtid->empty()) snapshot_.position += cat(" gtid ", *gtid);
    return std::move(snapshot_);
  }

  Run& run_;
  const Place& place_;
  const Scope& scope_;
  util::Task& task_;
  Snapshot snapshot_;
};
}  // namespace

Snapshot open_snapshot(Run& run, const Place& place, const Scope& scope, util::Task& task) {
  return Opening(run, place, scope, task).open();
}

Snapshot open_readers(Run& run, const std::string& database, const Scope& scope) {
  Snapshot snapshot;
  for (unsigned i = 0; i < std::max(1U, scope.parallel); ++i) {
    snapshot.readers.push_back(std::make_unique<Connection>(run.door(), database));
  }
  Connection& first = *snapshot.readers.front();
  snapshot.server = read_server(first);
  snapshot.schema = choose(read_schema(first, database), scope);
  snapshot.kind = "snapshot";
  return snapshot;
}

}  // namespace dbbackup::engine::mysql
