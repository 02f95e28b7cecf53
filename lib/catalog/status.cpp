// The questions that `status` and monitoring ask; together they take about a millisecond.
#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "catalog/job_summary.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

void refresh_job_summary(Connection& db, const std::string& job) {
  Statement statement = db.prepare(R"sql(
    UPDATE jobs SET
      (last_run, last_state) =
        (SELECT id, state FROM runs
         WHERE job = ?1 AND kind = 'backup' ORDER BY id DESC LIMIT 1),
      last_finished_at =
        (SELECT finished_at FROM runs
         WHERE job = ?1 AND kind = 'backup' AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1),
      last_success_at =
        (SELECT created_at FROM artifacts
         WHERE job = ?1 AND state <> 'damaged' ORDER BY created_at DESC LIMIT 1)
    WHERE name = ?1)sql");
  bind_value(statement, 1, job);
  statement.run();
}

namespace {
JobSummary read_summary(const Statement& row) {
  JobSummary job;
  read_fields(row, std::tie(job.name, job.last_state, job.last_run, job.last_finished_at,
                            job.last_success_at, job.max_age));
  return job;
}

Catalog::RepositoryUsage read_usage(const Statement& row) {
  Catalog::RepositoryUsage usage;
  read_fields(row, std::tie(usage.name, usage.artifacts, usage.stored_bytes));
  return usage;
}
}  // namespace

std::vector<JobSummary> Catalog::job_summaries() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(
        "SELECT name, last_state, last_run, last_finished_at, last_success_at, max_age"
        " FROM jobs ORDER BY name");
    return read_rows(statement, read_summary);
  });
}

std::pair<std::uint64_t, std::uint64_t> Catalog::running_and_queued() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(
        "SELECT (SELECT count(*) FROM runs WHERE state = 'running'),"
        " (SELECT count(*) FROM runs WHERE state = 'queued')");
    statement.step();
    std::pair<std::uint64_t, std::uint64_t> counts;
    read_fields(statement, std::tie(counts.first, counts.second));
    return counts;
  });
}

std::vector<Catalog::RepositoryUsage> Catalog::repository_usage() {
  return impl_->read([](Connection& db) {
    Statement statement =
        db.prepare("SELECT name, artifacts, stored_bytes FROM repositories ORDER BY name");
    return read_rows(statement, read_usage);
  });
}

}  // namespace dbbackup::catalog
