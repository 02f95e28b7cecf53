#include <algorithm>

#include "catalog/columns.hpp"
#include "catalog/event_rows.hpp"
#include "catalog/ids.hpp"
#include "catalog/impl.hpp"
#include "catalog/job_summary.hpp"
#include "catalog/names.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr Table kTable{
    "runs",
    "id,kind,job,database,repository,schedule,type,state,attempt,queued_at,started_at,finished_at,"
    "streams_done,streams_total,rows,bytes,bytes_total,artifact,warnings,request,result,"
    "earlier_attempts,start_after,fence,heartbeat_at,error_code,error_message,error_hint"};

auto fields(auto& run, auto& error) {
  return std::tie(run.id, run.kind, run.job, run.database, run.repository, run.schedule, run.type,
                  run.state, run.attempt, run.queued_at, run.started_at, run.finished_at,
                  run.streams_done, run.streams_total, run.rows, run.bytes, run.bytes_total,
                  run.artifact, run.warnings, run.request, run.result, run.earlier_attempts,
                  run.start_after, run.fence, run.heartbeat_at, error.code, error.message,
                  error.hint);
}

Run read_one(const Statement& row) {
  Run run;
  RunError error;
  read_fields(row, fields(run, error));
  if (!error.code.empty()) run.error = std::move(error);
  return run;
}

std::optional<Run> find(Connection& db, const std::string& id) {
  Statement statement = db.prepare(select_sql(kTable) + " WHERE id=?");
  bind_value(statement, 1, id);
  return read_row(statement, read_one);
}

// Insert and update bind alike.
void store(Connection& db, const std::string& sql, const Run& run) {
  const RunError error = run.error.value_or(RunError{});
  Statement statement = db.prepare(sql);
  bind_fields(statement, fields(run, error));
  statement.run();
  refresh_job_summary(db, run.job);
}

void insert(Connection& db, const Run& run) {
  if (id_exists(db, kRun, run.id)) {
    throw Error(ErrorCode::already_exists, cat("run ", run.id, " exists already"));
  }
  store(db, insert_sql(kTable), run);
}

std::vector<Run> select(Connection& db, const Filter& filter,
                        std::optional<std::int64_t> limit = {}) {
  Statement statement =
      db.prepare(cat(select_sql(kTable), filter.sql(), " ORDER BY id DESC LIMIT ?"));
  statement.bind(filter.bind(statement), std::int64_t{limit.value_or(-1)});
  return read_rows(statement, read_one);
}
}  // namespace

void Catalog::add_run(const Run& run) {
  impl_->write([&](Connection& db) {
    insert(db, run);
    // Fired beside its times: its instants stay as they are.
    Statement statement =
        db.prepare("UPDATE schedules SET last_run=?2, last_run_at=?3 WHERE name=?1");
    bind_fields(statement, std::tie(run.schedule, run.id, run.queued_at));
    statement.run();
  });
}

void Catalog::add_scheduled_run(const Run& run, const std::string& schedule,
                                util::TimePoint handled_until) {
  impl_->write([&](Connection& db) {
    require_exists(db, kSchedule, schedule);
    Statement statement = db.prepare(
        "UPDATE schedules SET handled_until=?2, last_run=?3, last_run_at=?4"
        " WHERE name=?1 AND (handled_until IS NULL OR handled_until < ?2)");
    bind_fields(statement, std::tie(schedule, handled_until, run.id, run.queued_at));
    statement.run();
    if (db.changes() == 0) {
      throw Error(ErrorCode::conflict, cat("schedule ", schedule, " has dealt with ",
                                           util::format_rfc3339(handled_until), " already"));
    }
    insert(db, run);
  });
}

void Catalog::update_run(const Run& run) {
  impl_->write([&](Connection& db) {
    const std::optional<Run> stored = find(db, run.id);
    if (!stored) throw no_such_id(kRun, run.id);
    if (is_ended(stored->state)) {
      throw Error(ErrorCode::conflict,
                  cat("run ", run.id, " has already ended as ", run_state_name(stored->state)));
    }
    store(db, update_sql(kTable), run);
  });
}

std::optional<Run> Catalog::find_run(const std::string& id) {
  return impl_->read([&](Connection& db) { return find(db, id); });
}

Run Catalog::run(const std::string& id_or_prefix) {
  return impl_->read(
      [&](Connection& db) { return find(db, resolve_id(db, kRun, id_or_prefix)).value(); });
}

std::vector<Run> Catalog::runs(const RunFilter& wanted) {
  return impl_->read([&](Connection& db) {
    Filter filter;
    filter.equals("job", wanted.job);
    filter.equals("database", wanted.database);
    if (wanted.state) filter.equals("state", run_state_name(*wanted.state));
    if (wanted.unfinished) filter.add("state IN ('queued', 'running')");
    return select(db, filter, wanted.limit);
  });
}

std::optional<Run> Catalog::last_attempt(const std::string& job) {
  return impl_->read([&](Connection& db) -> std::optional<Run> {
    // The one that ended last, not the one that was queued last: a retry may have waited for long.
    Statement statement = db.prepare(R"sql(
      SELECT id FROM runs WHERE job = ? AND kind = 'backup' AND
        (state IN ('succeeded', 'partial', 'failed', 'interrupted') OR
         (state = 'cancelled' AND earlier_attempts <> '[]'))
      ORDER BY finished_at DESC, id DESC LIMIT 1)sql");
    statement.bind(1, job);
    if (!statement.step()) return std::nullopt;
    Filter filter;
    filter.equals("id", statement.string(0));
    return select(db, filter, 1).front();
  });
}

std::size_t Catalog::adopt_history(const std::vector<Run>& runs, const std::vector<Event>& events) {
  return impl_->write([&](Connection& db) {
    std::size_t adopted = 0;
    for (const Run& run : runs) {
      if (!is_ended(run.state) || id_exists(db, kRun, run.id)) continue;
      insert(db, run);
      ++adopted;
    }
    for (const Event& event : events) insert_absent(db, event);
    return adopted;
  });
}

std::vector<util::Milliseconds> Catalog::durations_like(const Run& like, std::int64_t limit) {
  return impl_->read([&](Connection& db) {
    const bool of_job = like.kind == RunKind::backup && !like.job.empty();
    Filter filter;
    filter.equals(of_job ? "job" : "schedule", of_job ? like.job : like.schedule);
    filter.equals("kind", run_kind_name(like.kind));
    filter.add("state IN ('succeeded', 'partial') AND started_at IS NOT NULL");
    Statement statement = db.prepare(cat("SELECT finished_at - started_at FROM runs", filter.sql(),
                                         " ORDER BY id DESC LIMIT ?"));
    statement.bind(filter.bind(statement), limit);
    return read_rows(statement, [](const Statement& row) {
      return util::Milliseconds(std::max<std::int64_t>(0, row.integer(0)));
    });
  });
}

std::vector<Run> Catalog::settle_running(const std::function<Run(Run)>& settle) {
  return impl_->write([&](Connection& db) {
    Filter running;
    running.equals("state", run_state_name(RunState::running));
    std::vector<Run> runs = select(db, running);
    for (Run& run : runs) {
      run = settle(std::move(run));
      store(db, update_sql(kTable), run);
    }
    return runs;
  });
}

std::vector<Run> Catalog::mark_interrupted(const std::string& reason) {
  return settle_running([&](Run run) {
    run.state = RunState::interrupted;
    run.finished_at = impl_->clock.now();
    // `unavailable`, because trying again makes sense.
    run.error = RunError{std::string(util::traits(ErrorCode::unavailable).name), reason, {}};
    return run;
  });
}

void Catalog::append_log(const std::string& run, const LogLine& line) {
  impl_->write_log([&](Connection& db) {
    if (!id_exists(db, kRun, run)) throw no_such_id(kRun, run);
    // The line at the limit says that it is the last one, and those after it are not written.
    Statement statement = db.prepare(R"sql(
      INSERT INTO log_lines (run, number, at, severity, line)
      SELECT ?1, number, ?2, ?3,
             CASE WHEN number = ?5 THEN 'the log is full; later lines are in the journal only'
                  ELSE ?4 END
      FROM (SELECT coalesce(max(number) + 1, 0) AS number FROM log_lines WHERE run = ?1)
      WHERE number <= ?5)sql");
    const std::int64_t last = kMostLogLines - 1;
    bind_fields(statement, std::tie(run, line.at, line.severity, line.line, last));
    statement.run();
  });
}

std::vector<LogLine> Catalog::log(const std::string& run, std::size_t from_line) {
  return impl_->read([&](Connection& db) {
    Statement statement = db.prepare(
        "SELECT at, severity, line FROM log_lines WHERE run=? AND number>=? ORDER BY number");
    bind_value(statement, 1, run);
    bind_value(statement, 2, std::uint64_t{from_line});
    return read_rows(statement, [](const Statement& row) {
      LogLine line;
      read_fields(row, std::tie(line.at, line.severity, line.line));
      return line;
    });
  });
}

}  // namespace dbbackup::catalog
