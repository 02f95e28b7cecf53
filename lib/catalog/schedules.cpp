#include <algorithm>

#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "catalog/names.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

namespace {
constexpr Table kTable{
    "schedules",
    "name,kind,target,cron,timezone,jitter,catch_up,queue_overlap,windows,paused,created,"
    "handled_until,last_run_at,last_run"};

auto fields(auto& schedule) {
  return std::tie(schedule.name, schedule.kind, schedule.target, schedule.cron, schedule.timezone,
                  schedule.jitter, schedule.catch_up, schedule.queue_overlap, schedule.windows,
                  schedule.paused, schedule.created, schedule.handled_until, schedule.last_run_at,
                  schedule.last_run);
}

Schedule read_one(const Statement& row) {
  Schedule schedule;
  read_fields(row, fields(schedule));
  return schedule;
}

std::optional<Schedule> find(Connection& db, const std::string& name) {
  Statement statement = db.prepare(select_sql(kTable) + " WHERE name=?");
  bind_value(statement, 1, name);
  return read_row(statement, read_one);
}

Schedule get(Connection& db, const std::string& name) {
  auto found = find(db, name);
  if (!found) throw no_such(db, kSchedule, name);
  return *std::move(found);
}

void require_target(Connection& db, const Schedule& schedule) {
  const bool of_job = schedule.kind == ScheduleKind::job || schedule.kind == ScheduleKind::drill;
  require_exists(db, of_job ? kJob : kRepository, schedule.target);
}
}  // namespace

void Catalog::add_schedule(const Schedule& schedule) {
  impl_->write([&](Connection& db) {
    require_free_name(db, kSchedule, schedule.name);
    require_target(db, schedule);
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(schedule));
    statement.run();
  });
  ++impl_->schedules_version;
}

void Catalog::update_schedule(const Schedule& schedule) {
  impl_->write([&](Connection& db) {
    // The timer may have fired since the caller read the schedule; what it noted must stay, or it
    // would fire again.
    const Schedule stored = get(db, schedule.name);
    Schedule updated = schedule;
    updated.created = stored.created;
    updated.handled_until = std::max(schedule.handled_until, stored.handled_until);
    updated.last_run_at = stored.last_run_at;
    updated.last_run = stored.last_run;
    require_target(db, updated);
    Statement statement = db.prepare(update_sql(kTable));
    bind_fields(statement, fields(updated));
    statement.run();
  });
  ++impl_->schedules_version;
}

std::optional<Schedule> Catalog::find_schedule(const std::string& name) {
  return impl_->read([&](Connection& db) { return find(db, name); });
}

Schedule Catalog::schedule(const std::string& name) {
  return impl_->read([&](Connection& db) { return get(db, name); });
}

std::vector<Schedule> Catalog::schedules() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(select_sql(kTable) + " ORDER BY name");
    return read_rows(statement, read_one);
  });
}

std::uint64_t Catalog::schedules_version() const { return impl_->schedules_version; }

void Catalog::remove_schedule(const std::string& name) {
  impl_->write([&](Connection& db) {
    require_exists(db, kSchedule, name);
    delete_named(db, kSchedule, name);
  });
  ++impl_->schedules_version;
}

void Catalog::set_handled(const std::string& schedule, util::TimePoint handled_until) {
  impl_->write([&](Connection& db) {
    require_exists(db, kSchedule, schedule);
    Statement statement = db.prepare("UPDATE schedules SET handled_until=?2 WHERE name=?1");
    bind_fields(statement, std::tie(schedule, handled_until));
    statement.run();
  });
  ++impl_->schedules_version;
}

}  // namespace dbbackup::catalog
