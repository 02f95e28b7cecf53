#include "catalog/columns.hpp"
#include "catalog/impl.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

void Catalog::trim_history(util::Milliseconds keep_runs, util::Milliseconds keep_events) {
  const util::TimePoint now = impl_->clock.now();
  impl_->write([&](Connection& db) {
    // Of each job the newest run of every kind stays, and the newest one that has ended; of each
    // schedule the last run.
    Statement runs = db.prepare(R"sql(
      DELETE FROM runs
      WHERE state NOT IN ('queued', 'running')
        AND coalesce(finished_at, queued_at) < ?1
        AND id NOT IN (SELECT max(runs.id) FROM runs JOIN jobs ON jobs.name = runs.job
                       GROUP BY runs.job, runs.kind, runs.finished_at IS NULL)
        AND id NOT IN (SELECT last_run FROM schedules))sql");
    bind_value(runs, 1, now - keep_runs);
    runs.run();

    Statement events = db.prepare("DELETE FROM events WHERE at < ?1");
    bind_value(events, 1, now - keep_events);
    events.run();
  });
}

}  // namespace dbbackup::catalog
