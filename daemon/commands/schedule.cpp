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
      {"waiting", app.scheduler().why_waiting(schedule)},
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
  reply["schedule"] = shown(app, app.catalog().schedule(schedule.name));
  return reply;
}

json::Value pause(App& app, const json::Object& params) {
  catalog::Schedule schedule = app.catalog().schedule(text(params, "name"));
  schedule.paused = true;
  app.catalog().update_schedule(schedule);
  app.wake_scheduler();
  return wrapped("schedule", shown(app, app.catalog().schedule(schedule.name)));
}

json::Value resume(App& app, const json::Object& params) {
  catalog::Schedule schedule = app.catalog().schedule(text(params, "name"));
  int left_out = 0;
  if (schedule.paused) {
    left_out = app.scheduler().passed(schedule);
    // What passed while it was paused was not missed: it was not wanted. This is also the way out
    // after a clock that was far ahead has been corrected: the mark may go back. It is moved before
    // the schedule is active again, so that the timer cannot fire in between.
    app.catalog().set_handled(schedule.name, app.clock().now());
    schedule = app.catalog().schedule(schedule.name);
    schedule.paused = false;
    app.catalog().update_schedule(schedule);
    app.wake_scheduler();
  }
  return json::Object{{"schema_version", 1},
                      {"schedule", shown(app, app.catalog().schedule(schedule.name))},
                      {"left_out", left_out}};
}

// What there is to explain: a schedule of the catalog, or an expression from the command line,
// which is read as a schedule that was made just now.
catalog::Schedule explained(App& app, const json::Object& params) {
  const std::string cron = text(params, "cron");
  const std::string name = text(params, "name");
  if (name.empty() == cron.empty()) {
    throw Error(
        ErrorCode::usage, "name either a schedule or --cron",
        "for example: dbbackupctl schedule explain --cron '30 2 * * *' --timezone Europe/Berlin");
  }
  catalog::Schedule schedule;
  schedule.timezone = app.default_timezone();
  schedule.created = app.clock().now();
  if (name.empty()) {
    schedule.cron = cron;
  } else {
    schedule = app.catalog().schedule(name);
  }
  schedule.timezone = json::get_string(params, "timezone").value_or(schedule.timezone);
  return schedule;
}

// A fire that comes at another UTC time of day than the one before it wants to be understood.
std::string offset_reason(const schedule::TimeZone& zone, util::TimePoint before,
                          util::TimePoint at) {
  const auto period = zone.period_at(at);
  const auto change = period.offset - zone.period_at(before).offset;
  if (change == util::Seconds(0)) return {};
  return cat("clocks went ", change > util::Seconds(0) ? "forward" : "back", " by ",
             util::format_duration(std::chrono::abs(change)), " at ",
             zone.format_local(period.begin));
}

json::Value explain(App& app, const json::Object& params) {
  const catalog::Schedule schedule = explained(app, params);
  const schedule::Timing timing = job::make_timing(schedule);
  const util::Milliseconds expected = app.scheduler().expected_duration(schedule);
  const std::int64_t count = json::get_int(params, "count").value_or(5);
  if (count < 1 || count > kMostFires) {
    throw Error(ErrorCode::usage, cat("--count takes a number from 1 to ", kMostFires));
  }
  const util::TimePoint from = time(params, "from").value_or(app.clock().now());
  const auto next = [&](util::TimePoint after) {
    return schedule::next_after(timing.expression, after, timing.zone, timing.created_at);
  };
  json::Array fires;
  util::TimePoint before = from;
  auto fire = next(from);
  for (std::int64_t i = 0; i < count && fire; ++i) {
    const auto following = next(fire->at);
    const util::TimePoint due = fire->at + timing.jitter;
    const auto start = schedule::next_start(due, timing.zone, timing.windows, expected);
    std::string reason = fire->reason;
    if (reason.empty() && !timing.expression.interval()) {
      reason = offset_reason(timing.zone, before, fire->at);
    }
    before = fire->at;
    if (start && *start != due) {
      if (!reason.empty()) reason += "; ";
      reason += job::waiting_reason(timing, due, *start, expected);
      const bool joined = following && following->at + timing.jitter <= *start;
      if (joined) reason += ", where one run stands for this time and the next";
    }
    fires.push_back(json::Object{{"at", to_json(fire->at)},
                                 {"local", fire->local},
                                 {"starts_at", to_json(start)},
                                 {"reason", reason}});
    fire = following;
  }
  return json::Object{{"schema_version", 1},
                      {"cron", timing.expression.text()},
                      {"timezone", timing.zone.name()},
                      {"fires", std::move(fires)}};
}

json::Value run_due(App& app, const json::Object& params) {
  json::Array due;
  json::Array runs;
  for (const auto& item : app.scheduler().due()) {
    due.push_back(json::Object{{"schedule", item.schedule},
                               {"at", to_json(item.at)},
                               {"action", job::action_name(item.action)},
                               {"starts_at", to_json(item.starts_at)},
                               {"reason", item.reason}});
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
    return pause(app, params);
  };
  handlers["schedule.resume"] = [&app](const json::Object& params, control::Session&) {
    return resume(app, params);
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
