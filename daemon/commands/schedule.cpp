#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "schedule/next.hpp"
#include "schedule/window.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using catalog::ScheduleKind;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::int64_t kMostFires = 1000;

std::string_view kind_name(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::job:
      return "job";
    case ScheduleKind::drill:
      return "drill";
    case ScheduleKind::check:
      return "check";
    case ScheduleKind::prune:
      return "prune";
  }
  return "job";
}

json::Object shown(App& app, const catalog::Schedule& schedule) {
  json::Object object{
      {"name", schedule.name},
      {"target", json::Object{{"kind", kind_name(schedule.kind)}, {"name", schedule.target}}},
      {"cron", schedule.cron},
      {"timezone", schedule.timezone},
      {"state", schedule.paused ? "paused" : "active"},
      {"catch_up", schedule.catch_up ? "once" : "skip"},
      {"overlap", schedule.queue_overlap ? "queue" : "skip"},
      {"jitter", nullptr},
      {"windows", json::from_strings(schedule.windows)},
      {"created_at", to_json(schedule.created)},
      {"next_run_at", to_json(app.scheduler().next_run(schedule))},
      {"last_run_at", to_json(schedule.last_run_at)},
      {"last_run", nullptr},
      {"last_state", nullptr}};
  if (schedule.jitter) object["jitter"] = util::format_duration(*schedule.jitter);
  if (!schedule.last_run.empty()) {
    object["last_run"] = schedule.last_run;
    if (const auto run = app.catalog().find_run(schedule.last_run)) {
      object["last_state"] = catalog::run_state_name(run->state);
    }
  }
  return object;
}

// Exactly one of --job, --drill, --check, --prune, and what it names exists.
void set_target(App& app, const json::Object& params, catalog::Schedule& schedule) {
  int given = 0;
  for (const auto kind :
       {ScheduleKind::job, ScheduleKind::drill, ScheduleKind::check, ScheduleKind::prune}) {
    const auto target = json::get_string(params, kind_name(kind));
    if (!target) continue;
    ++given;
    schedule.kind = kind;
    schedule.target = *target;
  }
  if (given != 1) {
    throw Error(ErrorCode::usage, "a schedule runs exactly one thing",
                "give one of --job, --drill, --check or --prune");
  }
  if (schedule.kind == ScheduleKind::job || schedule.kind == ScheduleKind::drill) {
    app.catalog().job(schedule.target);
  } else {
    app.catalog().repository(schedule.target);
  }
}

json::Value add(App& app, const json::Object& params) {
  catalog::Schedule schedule;
  schedule.name = text(params, "name");
  schedule.cron = schedule::CronExpression::parse(text(params, "cron")).text();
  schedule.timezone = json::get_string(params, "timezone").value_or(app.default_timezone());
  schedule::TimeZone::load(schedule.timezone);
  set_target(app, params, schedule);
  schedule.jitter = duration(params, "jitter");
  schedule.catch_up = json::get_string(params, "catch_up").value_or("once") == "once";
  schedule.queue_overlap = json::get_string(params, "overlap").value_or("skip") == "queue";
  schedule.windows = json::get_strings(params, "window");
  for (const std::string& window : schedule.windows) schedule::Window::parse(window);
  schedule.created = app.clock().now();
  app.catalog().add_schedule(schedule);

  json::Object reply{{"schema_version", 1}};
  if (flag(params, "due_now")) {
    reply["run"] = to_json(app.scheduler().fire_now(schedule));
  }
  app.wake_scheduler();
  json::Object object = shown(app, app.catalog().schedule(schedule.name));
  json::Array warnings;
  if (!schedule.windows.empty()) {
    warnings.emplace_back("windows are recorded; this version does not act on them yet");
  }
  object["warnings"] = std::move(warnings);
  reply["schedule"] = std::move(object);
  return reply;
}

json::Value set_paused(App& app, const json::Object& params, bool paused) {
  catalog::Schedule schedule = app.catalog().schedule(text(params, "name"));
  const bool resumed = schedule.paused && !paused;
  schedule.paused = paused;
  app.catalog().update_schedule(schedule);
  // What passed while it was paused was not missed: it was not wanted. This is also the way out
  // after a clock that was far ahead has been corrected: the mark may go back.
  if (resumed) app.catalog().set_handled(schedule.name, app.clock().now());
  schedule = app.catalog().schedule(schedule.name);
  app.wake_scheduler();
  return wrapped("schedule", shown(app, schedule));
}

json::Value explain(App& app, const json::Object& params) {
  std::string cron = text(params, "cron");
  std::string zone_name = text(params, "timezone");
  const std::string name = text(params, "name");
  util::TimePoint anchor = app.clock().now();
  if (name.empty() == cron.empty()) {
    throw Error(
        ErrorCode::usage, "name either a schedule or --cron",
        "for example: dbbackupctl schedule explain --cron '30 2 * * *' --timezone Europe/Berlin");
  }
  if (!name.empty()) {
    const catalog::Schedule schedule = app.catalog().schedule(name);
    cron = schedule.cron;
    if (zone_name.empty()) zone_name = schedule.timezone;
    anchor = schedule.created;
  }
  const auto expression = schedule::CronExpression::parse(cron);
  const auto zone =
      schedule::TimeZone::load(zone_name.empty() ? app.default_timezone() : zone_name);
  const std::int64_t count = json::get_int(params, "count").value_or(5);
  if (count < 1 || count > kMostFires) {
    throw Error(ErrorCode::usage, cat("--count takes a number from 1 to ", kMostFires));
  }
  util::TimePoint from = time(params, "from").value_or(app.clock().now());
  json::Array fires;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto fire = schedule::next_after(expression, from, zone, anchor);
    if (!fire) break;
    fires.push_back(
        json::Object{{"at", to_json(fire->at)}, {"local", fire->local}, {"reason", fire->reason}});
    from = fire->at;
  }
  return json::Object{{"schema_version", 1},
                      {"cron", cron},
                      {"timezone", zone.name()},
                      {"fires", std::move(fires)}};
}

json::Value run_due(App& app, const json::Object& params) {
  json::Array due;
  json::Array runs;
  for (const auto& item : app.scheduler().due()) {
    due.push_back(json::Object{{"schedule", item.schedule}, {"at", to_json(item.at)}});
  }
  if (!flag(params, "dry_run")) {
    for (const auto& run : app.scheduler().run_due()) runs.push_back(to_json(run));
  }
  return json::Object{{"schema_version", 1}, {"due", std::move(due)}, {"runs", std::move(runs)}};
}
}  // namespace

void add_schedule_commands(App& app, control::Handlers& handlers) {
  handlers["schedule.add"] = [&app](const json::Object& params, control::Session&) {
    return add(app, params);
  };
  handlers["schedule.list"] = [&app](const json::Object& params, control::Session&) {
    json::Array list;
    for (const auto& schedule : app.catalog().schedules()) {
      if (schedule.paused && flag(params, "active_only")) continue;
      list.push_back(shown(app, schedule));
    }
    return listed("schedules", std::move(list));
  };
  handlers["schedule.show"] = [&app](const json::Object& params, control::Session&) {
    return wrapped("schedule", shown(app, app.catalog().schedule(text(params, "name"))));
  };
  handlers["schedule.pause"] = [&app](const json::Object& params, control::Session&) {
    return set_paused(app, params, true);
  };
  handlers["schedule.resume"] = [&app](const json::Object& params, control::Session&) {
    return set_paused(app, params, false);
  };
  handlers["schedule.remove"] = [&app](const json::Object& params, control::Session&) {
    app.catalog().remove_schedule(text(params, "name"));
    app.wake_scheduler();
    return removed(text(params, "name"));
  };
  handlers["schedule.explain"] = [&app](const json::Object& params, control::Session&) {
    return explain(app, params);
  };
  handlers["schedule.run_due"] = [&app](const json::Object& params, control::Session&) {
    return run_due(app, params);
  };
}

}  // namespace dbbackup::daemon
