#include "job/scheduler.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::ScheduleKind;
using util::cat;
using util::Error;

Run run_of_job(const catalog::Job& job, const std::string& type) {
  Run run;
  run.kind = catalog::RunKind::backup;
  run.job = job.name;
  run.database = job.database;
  run.repository = job.repository;
  run.type = type;
  return run;
}

Request request_of_job(const catalog::Job& job, unsigned default_parallel) {
  Request request;
  request.scope.include = job.include;
  request.scope.exclude = job.exclude;
  request.scope.where = job.where;
  request.options = job.options;
  request.policy = policy_of(job);
  request.scope.parallel =
      job.parallel > 0 ? static_cast<unsigned>(job.parallel) : default_parallel;
  return request;
}

schedule::Timing make_timing(const catalog::Schedule& record) {
  return {
      .expression = schedule::CronExpression::parse(record.cron),
      .zone = schedule::TimeZone::load(record.timezone),
      .created_at = record.created,
      .jitter = schedule::stable_jitter(record.name, record.jitter.value_or(util::Milliseconds(0))),
      .catch_up = record.catch_up ? schedule::CatchUp::once : schedule::CatchUp::skip};
}

Scheduler::Scheduler(Services& services, Runner& runner) : services_(services), runner_(runner) {}

const schedule::Timing& Scheduler::timing_of(const catalog::Schedule& schedule) const {
  const std::string key =
      cat(schedule.cron, "|", schedule.timezone, "|", util::to_unix_ms(schedule.created), "|",
          schedule.jitter ? schedule.jitter->count() : 0, "|", schedule.catch_up ? 1 : 0);
  auto it = timings_.find(schedule.name);
  if (it == timings_.end() || it->second.key != key) {
    it = timings_.insert_or_assign(schedule.name, Timed{key, make_timing(schedule)}).first;
  }
  return it->second.timing;
}

Run Scheduler::skip(Run run, const std::string& reason, std::optional<util::TimePoint> fired_at) {
  run.id = services_.ids.next();
  run.queued_at = services_.clock.now();
  run.finished_at = run.queued_at;
  run.state = RunState::skipped;
  run.error = catalog::RunError{"conflict", reason, {}};
  if (fired_at) {
    services_.catalog.add_scheduled_run(run, run.schedule, *fired_at);
  } else {
    services_.catalog.add_run(run);
  }
  services_.log.warn(cat("skipped: ", reason), {{"run", run.id}, {"schedule", run.schedule}});
  return run;
}

Run Scheduler::start(const catalog::Schedule& schedule, std::optional<util::TimePoint> fired_at) {
  Run run;
  Request request;
  request.scope.parallel = services_.parallel;
  switch (schedule.kind) {
    case ScheduleKind::job: {
      const catalog::Job job = services_.catalog.job(schedule.target);
      run = run_of_job(job, job.type);
      request = request_of_job(job, services_.parallel);
      break;
    }
    case ScheduleKind::drill: {
      run.kind = catalog::RunKind::drill;
      const auto newest = services_.catalog.artifacts({.limit = 1, .job = schedule.target});
      if (newest.empty()) {
        run.schedule = schedule.name;
        return skip(std::move(run), cat("job ", schedule.target, " has no artifact to drill yet"),
                    fired_at);
      }
      run.artifact = newest.front().id;
      run.database = newest.front().database;
      run.repository = newest.front().repository;
      break;
    }
    case ScheduleKind::check:
      run.kind = catalog::RunKind::check;
      run.repository = schedule.target;
      break;
    case ScheduleKind::prune:
      run.kind = catalog::RunKind::prune;
      run.repository = schedule.target;
      break;
  }
  run.schedule = schedule.name;
  if (!schedule.queue_overlap) {
    if (!run.job.empty() && runner_.busy(run.job)) {
      return skip(std::move(run), cat("job ", run.job, " is still running"), fired_at);
    }
    if (runner_.schedule_busy(schedule.name)) {
      return skip(std::move(run), "the run this schedule started before is still running", fired_at);
    }
  }
  return runner_.submit(std::move(run), request, fired_at);
}

std::vector<Run> Scheduler::look(std::optional<util::TimePoint>& wake) {
  const util::TimePoint now = services_.clock.now();
  std::vector<Run> runs;
  std::map<std::string, util::TimePoint> next_by_job;
  for (const catalog::Schedule& schedule : services_.catalog.schedules()) {
    if (schedule.paused) continue;
    try {
      const util::TimePoint handled = schedule.handled_until.value_or(schedule.created);
      const schedule::Decision decision = schedule::decide(timing_of(schedule), handled, now);
      if (decision.clock_behind > kLongestSleep) {
        services_.log.warn(cat("the clock is ", util::format_duration(decision.clock_behind),
                               " behind this schedule's last run; it waits until the clock has "
                               "caught up, or until it is "
                               "paused and resumed"),
                           {{"schedule", schedule.name}});
      }
      if (decision.run) {
        if (decision.missed > 0) {
          services_.log.warn(
              cat(decision.missed, " earlier fire times were missed; one run stands for all"),
              {{"schedule", schedule.name}});
        }
        runs.push_back(start(schedule, decision.handled));
      } else if (decision.handled != handled) {
        services_.catalog.set_handled(schedule.name, decision.handled);
      }
      if (decision.wake_at) {
        if (!wake || *decision.wake_at < *wake) wake = decision.wake_at;
        if (schedule.kind == ScheduleKind::job) {
          const auto [it, fresh] = next_by_job.emplace(schedule.target, *decision.wake_at);
          if (!fresh) it->second = std::min(it->second, *decision.wake_at);
        }
      }
    } catch (const Error& error) {
      // One schedule that cannot be served must not stop the others; it is tried again at the next
      // look.
      services_.log.error(cat("schedule cannot be served: ", error.message()),
                          {{"schedule", schedule.name}});
    }
  }
  next_by_job_ = std::move(next_by_job);
  return runs;
}

util::Milliseconds Scheduler::tick() {
  const std::scoped_lock lock(mutex_);
  std::optional<util::TimePoint> wake;
  look(wake);
  const util::TimePoint now = services_.clock.now();
  util::Milliseconds sleep = kLongestSleep;
  if (wake) sleep = std::clamp(*wake - now, util::Milliseconds(1), kLongestSleep);
  expected_tick_ms_ = util::to_unix_ms(now + sleep);
  return sleep;
}

std::vector<Run> Scheduler::run_due() {
  const std::scoped_lock lock(mutex_);
  std::optional<util::TimePoint> wake;
  return look(wake);
}

std::vector<Scheduler::Due> Scheduler::due() const {
  const std::scoped_lock lock(mutex_);
  const util::TimePoint now = services_.clock.now();
  std::vector<Due> found;
  for (const catalog::Schedule& schedule : services_.catalog.schedules()) {
    if (schedule.paused) continue;
    try {
      const auto decision = schedule::decide(
          timing_of(schedule), schedule.handled_until.value_or(schedule.created), now);
      if (decision.run) found.push_back({schedule.name, decision.run->at});
    } catch (const Error&) {
      // It cannot fire; the timer tells the log why at each look.
    }
  }
  return found;
}

Run Scheduler::fire_now(const catalog::Schedule& schedule) { return start(schedule, std::nullopt); }

std::optional<util::TimePoint> Scheduler::next_run(const catalog::Schedule& schedule) const {
  if (schedule.paused) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  const auto handled = schedule.handled_until.value_or(schedule.created);
  try {
    return schedule::decide(timing_of(schedule), handled, services_.clock.now()).wake_at;
  } catch (const Error&) {
    return std::nullopt;  // lists must show the others
  }
}

std::map<std::string, util::TimePoint> Scheduler::next_runs_by_job() const {
  const std::scoped_lock lock(mutex_);
  return next_by_job_;
}

std::optional<util::TimePoint> Scheduler::next_run_of_job(const std::string& job) const {
  const std::scoped_lock lock(mutex_);
  const auto it = next_by_job_.find(job);
  if (it == next_by_job_.end()) return std::nullopt;
  return it->second;
}

double Scheduler::lag_seconds() const {
  const std::int64_t expected = expected_tick_ms_;
  if (expected == 0) return 0;
  const std::int64_t late = util::to_unix_ms(services_.clock.now()) - expected;
  return late > 0 ? static_cast<double>(late) / 1000.0 : 0;
}

}  // namespace dbbackup::job
