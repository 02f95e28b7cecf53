#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "schedule/zone.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using catalog::ScheduleKind;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr const char* kDefaultRepository = "default";

void require_known_type(const std::string& type) {
  if (type == "full") return;
  throw Error(ErrorCode::unsupported,
              cat("backups of type ", type, " are not available in this version"),
              "use --type full: every full backup already stores only what changed");
}

std::int64_t whole(const json::Object& params, std::string_view name, std::int64_t otherwise) {
  const std::int64_t value = json::get_int(params, name).value_or(otherwise);
  if (value < 0) throw Error(ErrorCode::usage, cat("parameter ", name, " must not be negative"));
  return value;
}

std::int64_t retries(const json::Object& params, std::int64_t otherwise) {
  constexpr std::int64_t kMost = 100;
  const std::int64_t value = whole(params, "retries", otherwise);
  if (value > kMost)
    throw Error(ErrorCode::usage, cat("--retries takes a number from 0 to ", kMost));
  return value;
}

// Puts what was given over what the job has.
void apply(const json::Object& params, catalog::Job& job) {
  const auto set_text = [&](std::string_view name, std::string& value) {
    if (const auto given = json::get_string(params, name)) value = *given;
  };
  const auto set_duration = [&](std::string_view name, std::optional<util::Milliseconds>& value) {
    if (const auto given = duration(params, name)) {
      value = given->count() == 0 ? std::nullopt : given;
    }
  };
  set_text("database", job.database);
  set_text("repository", job.repository);
  set_text("type", job.type);
  require_known_type(job.type);
  if (json::find(params, "include")) job.include = json::get_strings(params, "include");
  if (json::find(params, "exclude")) job.exclude = json::get_strings(params, "exclude");
  if (json::find(params, "where")) job.where = where(params);
  job.parallel = json::find(params, "parallel") ? parallel(params, 0) : job.parallel;
  job.keep.last = whole(params, "keep_last", job.keep.last);
  job.keep.hourly = whole(params, "keep_hourly", job.keep.hourly);
  job.keep.daily = whole(params, "keep_daily", job.keep.daily);
  job.keep.weekly = whole(params, "keep_weekly", job.keep.weekly);
  job.keep.monthly = whole(params, "keep_monthly", job.keep.monthly);
  job.keep.yearly = whole(params, "keep_yearly", job.keep.yearly);
  set_duration("keep_within", job.keep.within);
  set_text("timezone", job.timezone);
  if (!job.timezone.empty()) schedule::TimeZone::load(job.timezone);  // refuses an unknown one
  job.max_row_drop = whole(params, "max_row_drop", job.max_row_drop);
  if (job.max_row_drop > 100) {
    throw Error(ErrorCode::usage, "--max-row-drop takes a percentage from 0 to 100");
  }
  set_duration("max_age", job.max_age);
  job.retries = retries(params, job.retries);
  set_duration("retry_delay", job.retry_delay);
  set_duration("retry_max_delay", job.retry_max_delay);
  set_duration("timeout", job.timeout);
  if (const auto given = duration(params, "stall_timeout")) job.stall_timeout = given;  // 0: never
  set_duration("hook_timeout", job.hook_timeout);
  set_text("pre_hook", job.pre_hook);
  set_text("post_hook", job.post_hook);
  job.options = merged(job.options, options(params));
}

json::Value reply(App& app, const std::string& name) {
  return wrapped("job", to_json(app.catalog().job(name)));
}

json::Object with_runs(App& app, const catalog::Job& job) {
  json::Object object = to_json(job);
  object["last_run"] = nullptr;
  const auto runs = app.catalog().runs({.limit = 1, .job = job.name});
  if (!runs.empty()) {
    object["last_run"] = json::Object{{"id", runs.front().id},
                                      {"state", catalog::run_state_name(runs.front().state)},
                                      {"finished_at", to_json(runs.front().finished_at)}};
  }
  object["next_run_at"] = to_json(app.scheduler().next_run_of_job(job.name));
  return object;
}

json::Value run(App& app, const json::Object& params) {
  const catalog::Job job = app.catalog().job(text(params, "name"));
  const std::string type = json::get_string(params, "type").value_or(job.type);
  require_known_type(type);
  return started(app, job::run_of_job(job, type),
                 job::request_of_job(job, app.services().parallel));
}

json::Value backup(App& app, const json::Object& params) {
  const catalog::Database database = app.catalog().database(text(params, "database"));
  const catalog::Repository repository =
      app.catalog().repository(json::get_string(params, "repository").value_or(kDefaultRepository));
  catalog::Run run;
  run.kind = catalog::RunKind::backup;
  run.database = database.name;
  run.repository = repository.name;
  run.type = json::get_string(params, "type").value_or("full");
  require_known_type(run.type);
  job::Request request;
  request.scope.include = json::get_strings(params, "include");
  request.scope.exclude = json::get_strings(params, "exclude");
  request.scope.parallel = app.services().parallel;
  return started(app, std::move(run), request);
}
}  // namespace

void add_job_commands(App& app, control::Handlers& handlers) {
  handlers["job.add"] = [&app](const json::Object& params, control::Session&) {
    catalog::Job job;
    job.name = text(params, "name");
    job.repository = kDefaultRepository;
    job.created = app.clock().now();
    apply(params, job);
    engine::check_options(app.catalog().database(job.database).engine, job.options);
    app.catalog().repository(job.repository);
    app.catalog().add_job(job);
    return reply(app, job.name);
  };
  handlers["job.update"] = [&app](const json::Object& params, control::Session&) {
    catalog::Job job = app.catalog().job(text(params, "name"));
    apply(params, job);
    engine::check_options(app.catalog().database(job.database).engine, job.options);
    app.catalog().repository(job.repository);
    app.catalog().update_job(job);
    return reply(app, job.name);
  };
  handlers["job.list"] = [&app](const json::Object&, control::Session&) {
    json::Array list;
    for (const auto& job : app.catalog().jobs()) list.push_back(with_runs(app, job));
    return listed("jobs", std::move(list));
  };
  handlers["job.show"] = [&app](const json::Object& params, control::Session&) {
    return wrapped("job", with_runs(app, app.catalog().job(text(params, "name"))));
  };
  handlers["job.remove"] = [&app](const json::Object& params, control::Session&) {
    require_unscheduled(app, "job", {ScheduleKind::job, ScheduleKind::drill}, text(params, "name"));
    app.catalog().remove_job(text(params, "name"));
    app.wake_scheduler();
    return removed(text(params, "name"));
  };
  handlers["job.run"] = [&app](const json::Object& params, control::Session&) {
    return run(app, params);
  };
  handlers["backup.start"] = [&app](const json::Object& params, control::Session&) {
    return backup(app, params);
  };
}

}  // namespace dbbackup::daemon
