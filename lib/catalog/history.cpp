// The past within its limits: oldest first, in small transactions between which others get their
// turn, and with the freed pages given back to the disk.
#include <algorithm>
#include <set>

#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

namespace {
// Rows of one transaction: some milliseconds, which nobody notices who waits for them.
constexpr std::int64_t kBatch = 500;

std::int64_t count_of(Connection& db, std::string_view table) {
  Statement statement = db.prepare(util::cat("SELECT count(*) FROM ", table));
  statement.step();
  return statement.integer(0);
}

void give_back_space(Connection& db) {
  Statement statement = db.prepare("PRAGMA incremental_vacuum(2000)");
  while (statement.step()) {
  }
}

// Of each job the newest ended run of every kind stays (those that have not ended stay anyway) and
// the last attempt, by which retention judges; of each schedule the last run.
std::set<std::string> runs_that_stay(Connection& db) {
  Statement statement = db.prepare(R"sql(
    SELECT (SELECT id FROM runs WHERE job = jobs.name AND kind = kinds.kind
            AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1)
    FROM jobs,
         (SELECT 'backup' AS kind UNION ALL SELECT 'restore' UNION ALL SELECT 'drill'
          UNION ALL SELECT 'verify' UNION ALL SELECT 'export') AS kinds
    UNION SELECT (SELECT id FROM runs WHERE job = jobs.name AND kind = 'backup' AND
            (state IN ('succeeded', 'partial', 'failed', 'interrupted') OR
             (state = 'cancelled' AND earlier_attempts <> '[]'))
            ORDER BY finished_at DESC, id DESC LIMIT 1) FROM jobs
    UNION SELECT last_run FROM schedules)sql");
  std::set<std::string> ids;
  while (statement.step()) ids.insert(statement.string(0));
  return ids;
}

struct Batch {
  std::string last;  // where the next one begins
  bool done = true;
  std::int64_t removed = 0;
};

// Looks at the oldest runs after `after`; ids are in the order of time.
Batch trim_runs(Connection& db, const std::string& after, util::TimePoint before,
                std::int64_t excess, const std::set<std::string>& stay) {
  Statement statement = db.prepare(
      "SELECT id, coalesce(finished_at, queued_at), state IN ('queued', 'running') FROM runs"
      " WHERE id > ? ORDER BY id LIMIT ?");
  bind_fields(statement, std::tie(after, kBatch));
  Statement remove = db.prepare("DELETE FROM runs WHERE id = ?");
  Batch batch{.last = after};
  std::int64_t seen = 0;
  bool reached_young = false;
  while (statement.step()) {
    ++seen;
    batch.last = statement.string(0);
    const bool old = util::from_unix_ms(statement.integer(1)) < before;
    if (!old && batch.removed >= excess) {
      reached_young = true;
      continue;
    }
    if (statement.integer(2) != 0 || stay.contains(batch.last)) continue;
    bind_value(remove, 1, batch.last);
    remove.run();
    ++batch.removed;
  }
  batch.done = seen < kBatch || (reached_young && batch.removed == 0);
  return batch;
}

// The oldest run after `after` that has log lines; empty when there is none.
std::string next_logged_run(Connection& db, const std::string& after) {
  Statement statement =
      db.prepare("SELECT run FROM log_lines WHERE run > ? ORDER BY run, number LIMIT 1");
  bind_value(statement, 1, after);
  return statement.step() ? statement.string(0) : std::string();
}

Batch trim_logs(Connection& db, const std::string& after, util::TimePoint before) {
  Batch batch{.last = after};
  while (batch.removed < kBatch) {
    const std::string run = next_logged_run(db, batch.last);
    if (run.empty()) return batch;
    batch.last = run;
    Statement newest = db.prepare("SELECT max(at) FROM log_lines WHERE run = ?");
    bind_value(newest, 1, run);
    newest.step();
    if (util::from_unix_ms(newest.integer(0)) >= before) return batch;
    Statement remove = db.prepare("DELETE FROM log_lines WHERE run = ?");
    bind_value(remove, 1, run);
    remove.run();
    batch.removed += db.changes();
  }
  batch.done = false;
  return batch;
}

Batch trim_events(Connection& db, util::TimePoint before, std::int64_t excess) {
  // Two indexes, two statements: by age, and by number.
  Statement old = db.prepare(
      "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at LIMIT ?)");
  bind_fields(old, std::tie(before, kBatch));
  old.run();
  Batch batch;
  batch.removed = db.changes();
  const std::int64_t more = std::min(kBatch, excess - batch.removed);
  if (more > 0) {
    Statement many =
        db.prepare("DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)");
    bind_value(many, 1, more);
    many.run();
    batch.removed += db.changes();
  }
  batch.done = batch.removed == 0;
  return batch;
}
}  // namespace

void Catalog::trim_history(const HistoryLimits& limits, const std::stop_token& stop) {
  const util::TimePoint now = impl_->clock.now();
  // Calls `step` for one transaction after the other until it is done.
  const auto in_batches = [&](auto step) {
    for (bool done = false; !done && !stop.stop_requested();) {
      done = impl_->write([&](Connection& db) {
        const Batch batch = step(db);
        if (batch.removed > 0) give_back_space(db);
        return batch.done;
      });
    }
  };

  std::string cursor;
  std::int64_t excess =
      impl_->read([&](Connection& db) { return count_of(db, "runs") - limits.most_runs; });
  const std::set<std::string> stay = impl_->read(runs_that_stay);
  in_batches([&](Connection& db) {
    Batch batch = trim_runs(db, cursor, now - limits.keep_runs, excess, stay);
    cursor = batch.last;
    excess -= batch.removed;
    return batch;
  });

  cursor.clear();
  in_batches([&](Connection& db) {
    Batch batch = trim_logs(db, cursor, now - limits.keep_logs);
    cursor = batch.last;
    return batch;
  });

  excess = impl_->read([&](Connection& db) { return count_of(db, "events") - limits.most_events; });
  in_batches([&](Connection& db) {
    const Batch batch = trim_events(db, now - limits.keep_events, excess);
    excess -= batch.removed;
    return batch;
  });
}

}  // namespace dbbackup::catalog
