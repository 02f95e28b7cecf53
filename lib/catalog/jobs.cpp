#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "catalog/job_summary.hpp"
#include "catalog/names.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

namespace {
constexpr Table kTable{
    "jobs",
    "name,database,repository,type,include_globs,exclude_globs,conditions,parallel,"
    "keep_last,keep_hourly,keep_daily,keep_weekly,keep_monthly,keep_yearly,keep_within,"
    "max_age,retries,retry_delay,retry_max_delay,timeout,stall_timeout,hook_timeout,pre_hook,"
    "post_hook,options,created,timezone,max_row_drop"};

auto fields(auto& job) {
  return std::tie(job.name, job.database, job.repository, job.type, job.include, job.exclude,
                  job.where, job.parallel, job.keep.last, job.keep.hourly, job.keep.daily,
                  job.keep.weekly, job.keep.monthly, job.keep.yearly, job.keep.within, job.max_age,
                  job.retries, job.retry_delay, job.retry_max_delay, job.timeout, job.stall_timeout,
                  job.hook_timeout, job.pre_hook, job.post_hook, job.options, job.created,
                  job.timezone, job.max_row_drop);
}

Job read_one(const Statement& row) {
  Job job;
  read_fields(row, fields(job));
  return job;
}

std::optional<Job> find(Connection& db, const std::string& name) {
  Statement statement = db.prepare(select_sql(kTable) + " WHERE name=?");
  bind_value(statement, 1, name);
  return read_row(statement, read_one);
}

Job get(Connection& db, const std::string& name) {
  auto found = find(db, name);
  if (!found) throw no_such(db, kJob, name);
  return *std::move(found);
}

void require_parts(Connection& db, const Job& job) {
  require_exists(db, kDatabase, job.database);
  require_exists(db, kRepository, job.repository);
}
}  // namespace

void Catalog::add_job(const Job& job) {
  impl_->write([&](Connection& db) {
    require_free_name(db, kJob, job.name);
    require_parts(db, job);
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(job));
    statement.run();
    // A job of this name may have a history: removed and added again, or found by a rescan.
    refresh_job_summary(db, job.name);
  });
}

void Catalog::update_job(const Job& job) {
  impl_->write([&](Connection& db) {
    Job updated = job;
    updated.created = get(db, job.name).created;
    require_parts(db, updated);
    Statement statement = db.prepare(update_sql(kTable));
    bind_fields(statement, fields(updated));
    statement.run();
  });
}

std::optional<Job> Catalog::find_job(const std::string& name) {
  return impl_->read([&](Connection& db) { return find(db, name); });
}

Job Catalog::job(const std::string& name) {
  return impl_->read([&](Connection& db) { return get(db, name); });
}

void Catalog::require_known_job(const std::string& name) {
  impl_->read([&](Connection& db) { require_known(db, kJob, name); });
}

std::vector<Job> Catalog::jobs() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(select_sql(kTable) + " ORDER BY name");
    return read_rows(statement, read_one);
  });
}

void Catalog::remove_job(const std::string& name) {
  impl_->write([&](Connection& db) {
    require_exists(db, kJob, name);
    delete_named(db, kJob, name);  // its schedules go with it
  });
  ++impl_->schedules_version;
}

}  // namespace dbbackup::catalog
