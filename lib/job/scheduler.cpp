#include "job/scheduler.hpp"

#include <algorithm>
#include <tuple>

#include "job/drill_choice.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::ScheduleKind;
using util::cat;
using util::Error;
using util::Milliseconds;
using util::TimePoint;

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
  schedule::Timing timing{
      .expression = schedule::CronExpression::parse(record.cron),
      .zone = schedule::TimeZone::load(record.timezone),
      .created_at = record.created,
      .jitter = schedule::stable_jitter(record.name, record.jitter.value_or(Milliseconds(0))),
      .catch_up = record.catch_up ? schedule::CatchUp::once : schedule::CatchUp::skip};
  for (const std::string& text : record.windows) {
    timing.windows.push_back(schedule::Window::parse(text));
  }
  return timing;
}

namespace {
// The prediction looks at this many runs: enough for a percentile, few enough to follow a database
// that grows.
constexpr std::int64_t kHistory = 20;

TimePoint mark_of(const catalog::Schedule& record) {
  return record.handled_until.value_or(record.created);
}

// Whether the timer would treat both alike.
bool same(const catalog::Schedule& a, const catalog::Schedule& b) {
  const auto what_counts = [](const catalog::Schedule& one) {
    return std::tie(one.kind, one.target, one.cron, one.timezone, one.jitter, one.catch_up,
                    one.queue_overlap, one.windows, one.created, one.handled_until);
  };
  return what_counts(a) == what_counts(b);
}

// Exact, but for what nobody wants to read.
std::string show(Milliseconds duration) {
  return util::format_duration(std::chrono::ceil<util::Seconds>(duration));
}

catalog::RunKind run_kind(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::job:
      return catalog::RunKind::backup;
    case ScheduleKind::drill:
      return catalog::RunKind::drill;
    case ScheduleKind::check:
      return catalog::RunKind::check;
    case ScheduleKind::prune:
      return catalog::RunKind::prune;
  }
  return catalog::RunKind::backup;
}
}  // namespace

std::string_view action_name(Scheduler::Action action) {
  switch (action) {
    case Scheduler::Action::start:
      return "start";
    case Scheduler::Action::skip:
      return "skip";
    case Scheduler::Action::wait:
      return "wait";
  }
  return "start";
}

std::string waiting_reason(const schedule::Timing& timing, TimePoint now, TimePoint starts_at,
                           Milliseconds expected) {
  const std::string until = timing.zone.format_local(starts_at);
  if (!schedule::inside(now, timing.zone, timing.windows)) {
    return cat("outside its windows; waits until ", until);
  }
  const auto closing = schedule::open_until(now, timing.zone, timing.windows);
  return cat("expected to take ", show(expected), ", and its window closes at ",
             timing.zone.format_local(closing.value_or(now)), "; deferred to ", until);
}

Scheduler::Scheduler(Services& services, Runner& runner) : services_(services), runner_(runner) {}

void Scheduler::tell(const std::string& action, const std::string& schedule,
                     const std::string& detail) {
  services_.log.warn(detail, {{"schedule", schedule}});
  catalog::Event event;
  event.action = action;
  event.object = schedule.empty() ? "scheduler" : cat("schedule ", schedule);
  event.outcome = "ok";
  event.detail = detail;
  try {
    services_.catalog.add_event(event);
  } catch (const Error& error) {
    services_.log.error(cat("cannot record an event: ", error.message()));  // and go on scheduling
  }
}

Run Scheduler::skip(Run run, const std::string& reason, std::optional<TimePoint> fired_at) {
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

Scheduler::Prepared Scheduler::prepare(const catalog::Schedule& schedule) const {
  Prepared prepared;
  Run& run = prepared.run;
  prepared.request.scope.parallel = services_.parallel;
  switch (schedule.kind) {
    case ScheduleKind::job: {
      const catalog::Job job = services_.catalog.job(schedule.target);
      run = run_of_job(job, job.type);
      prepared.request = request_of_job(job, services_.parallel);
      break;
    }
    case ScheduleKind::drill: {
      const auto chosen = choose_drill(services_.catalog, schedule.target);
      if (!chosen) {
        prepared.obstacle = cat("job ", schedule.target, " has no artifact to drill yet");
        break;
      }
      run.artifact = chosen->id;
      run.database = chosen->database;
      run.repository = chosen->repository;
      break;
    }
    case ScheduleKind::check:
    case ScheduleKind::prune:
      run.repository = schedule.target;
      break;
  }
  run.kind = run_kind(schedule.kind);
  run.schedule = schedule.name;
  prepared.request.windows = schedule.windows;
  prepared.request.timezone = schedule.timezone;
  if (!prepared.obstacle.empty()) return prepared;
  if (schedule.queue_overlap) {
    if (runner_.waiting(run.job, schedule.name)) {
      prepared.obstacle = "a run is waiting for the one before already, and one waits at most";
    }
  } else if (!run.job.empty() && runner_.busy(run.job)) {
    prepared.obstacle = cat("job ", run.job, " is still running");
  } else if (runner_.schedule_busy(schedule.name)) {
    prepared.obstacle = "the run this schedule started before is still running";
  }
  return prepared;
}

Run Scheduler::start(Prepared prepared, std::optional<TimePoint> fired_at) {
  if (!prepared.obstacle.empty()) {
    return skip(std::move(prepared.run), prepared.obstacle, fired_at);
  }
  return runner_.submit(std::move(prepared.run), prepared.request, fired_at);
}

Milliseconds Scheduler::expected_duration(const catalog::Schedule& schedule) const {
  if (schedule.windows.empty()) return Milliseconds(0);
  Run like;
  like.kind = run_kind(schedule.kind);
  like.schedule = schedule.name;
  if (schedule.kind == ScheduleKind::job) like.job = schedule.target;
  return schedule::likely_duration(services_.catalog.durations_like(like, kHistory));
}

schedule::Decision Scheduler::decide(const Entry& entry, TimePoint now) const {
  return schedule::decide(entry.timing.value(), mark_of(entry.record), now,
                          expected_duration(entry.record));
}

// Says when to look at the entry again, without doing anything about it.
void Scheduler::plan(Entry& entry, TimePoint now) {
  try {
    if (!entry.timing) entry.timing = make_timing(entry.record);
    const schedule::Decision decision = decide(entry, now);
    const bool something_to_do =
        decision.run || decision.waiting || decision.handled != mark_of(entry.record);
    entry.look_at = something_to_do ? now : decision.wake_at;
    entry.starts_at = decision.run ? now : decision.starts_at;
  } catch (const Error&) {
    entry.look_at = now;  // serve() tells the log
    entry.starts_at.reset();
  }
}

// Reads the schedules again when one of them changed, and plans those that did.
void Scheduler::refresh() {
  const std::uint64_t version = services_.catalog.schedules_version();
  if (version == version_) return;
  const TimePoint now = services_.clock.now();
  std::map<std::string, Entry> before = std::move(entries_);
  entries_.clear();
  agenda_.clear();
  for (catalog::Schedule& record : services_.catalog.schedules()) {
    if (record.paused) continue;
    const auto known = before.find(record.name);
    Entry& entry = entries_[record.name];
    if (known != before.end() && same(known->second.record, record)) {
      entry = std::move(known->second);
    } else {
      entry.record = std::move(record);
      plan(entry, now);
    }
    if (entry.look_at) agenda_.emplace(*entry.look_at, entry.record.name);
  }
  version_ = version;
  tell_behind(now);
}

// What was planned under a clock that showed another time is planned anew.
void Scheduler::notice_clock(TimePoint now) {
  const util::SteadyPoint steady = services_.clock.steady_now();
  const auto passed = std::chrono::round<Milliseconds>(steady - looked_at_steady_);
  const auto shown = looked_at_ ? now - *looked_at_ : passed;
  looked_at_ = now;
  looked_at_steady_ = steady;
  if (std::chrono::abs(shown - passed) > kLongestSleep) {
    const bool forward = shown > passed;
    tell("clock.jumped", {},
         cat("the clock went ", forward ? "forward" : "back", " by ",
             show(std::chrono::abs(shown - passed)),
             forward ? ": it was set, or the machine slept; times that passed follow catch_up"
                     : ": no schedule repeats what it has dealt with"));
  }
  if (shown >= Milliseconds(0)) return;
  agenda_.clear();
  for (auto& [name, entry] : entries_) {
    plan(entry, now);
    if (entry.look_at) agenda_.emplace(*entry.look_at, name);
  }
  tell_behind(now);
}

// A mark far ahead of the clock means that the clock was wrong when it was made.
void Scheduler::tell_behind(TimePoint now) {
  Milliseconds furthest(0);
  std::string which;
  std::size_t count = 0;
  for (const auto& [name, entry] : entries_) {
    const Milliseconds behind = mark_of(entry.record) - now;
    if (behind <= kLongestSleep) continue;
    ++count;
    if (behind > furthest) which = name;
    furthest = std::max(furthest, behind);
  }
  if (count > behind_told_) {
    tell("clock.behind", which,
         cat("the clock is ", show(furthest), " behind the last fire of this schedule",
             count > 1 ? cat(" and behind that of ", count - 1, " more") : "",
             "; they wait until it has caught up, or until they are paused and resumed"));
  }
  behind_told_ = count;
}

void Scheduler::tell_waiting(Entry& entry, const schedule::Decision& decision, TimePoint now) {
  if (!decision.starts_at || entry.told_until == decision.starts_at) return;
  const std::string reason =
      waiting_reason(*entry.timing, now, *decision.starts_at, expected_duration(entry.record));
  if (schedule::inside(now, entry.timing->zone, entry.timing->windows)) {
    tell("schedule.deferred", entry.record.name, reason);
  } else {
    services_.log.info(reason, {{"schedule", entry.record.name}});
  }
  entry.told_until = decision.starts_at;
}

void Scheduler::tell_started(const Entry& entry, const schedule::Decision& decision) {
  const schedule::Timing& timing = *entry.timing;
  if (decision.missed > 0 && decision.run && !timing.windows.empty()) {
    services_.log.info(
        cat(decision.missed, " earlier fire times waited as well; one run stands for all"),
        {{"schedule", entry.record.name}});
  } else if (decision.missed > 0) {
    tell("schedule.missed", entry.record.name,
         cat(decision.missed, decision.run
                                  ? " earlier fire times were missed; one run stands for all"
                                  : " fire times were missed and are left out"));
  }
  if (!decision.run || timing.windows.empty()) return;
  const auto longest = schedule::longest_open(timing.windows);
  const Milliseconds expected = expected_duration(entry.record);
  if (longest && expected > *longest) {
    tell("schedule.overruns", entry.record.name,
         cat("expected to take ", show(expected),
             ", longer than any of its windows; started anyway"));
  }
}

void Scheduler::serve(Entry& entry, TimePoint now, std::vector<Run>& runs) {
  try {
    if (!entry.timing) entry.timing = make_timing(entry.record);
    const schedule::Decision decision = decide(entry, now);
    if (decision.run) {
      runs.push_back(start(prepare(entry.record), decision.handled));
    } else if (decision.handled != mark_of(entry.record)) {
      services_.catalog.set_handled(entry.record.name, decision.handled);
    }
    if (decision.waiting) {
      tell_waiting(entry, decision, now);
    } else {
      entry.record.handled_until = decision.handled;
      tell_started(entry, decision);
    }
    entry.look_at = decision.wake_at;
    entry.starts_at = decision.starts_at;
  } catch (const Error& error) {
    // One schedule that cannot be served must not stop the others; it is tried again in a while, by
    // what the catalog then says.
    services_.log.error(cat("schedule cannot be served: ", error.message()),
                        {{"schedule", entry.record.name}});
    const auto record = services_.catalog.find_schedule(entry.record.name);
    if (record && !same(*record, entry.record)) {
      entry.record = *record;
      entry.timing.reset();
    }
    entry.look_at = now + kLongestSleep;
  }
}

std::vector<Run> Scheduler::look() {
  std::vector<Run> runs;
  const TimePoint now = services_.clock.now();
  refresh();
  notice_clock(now);
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    Entry& entry = entries_.at(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    serve(entry, now, runs);
    if (entry.look_at) agenda_.emplace(*entry.look_at, entry.record.name);
  }
  runner_.look();
  return runs;
}

Milliseconds Scheduler::tick() {
  const std::scoped_lock lock(mutex_);
  look();
  Milliseconds sleep = kLongestSleep;
  if (!agenda_.empty()) {
    sleep =
        std::clamp(agenda_.begin()->first - services_.clock.now(), Milliseconds(1), kLongestSleep);
  }
  expected_tick_ = (services_.clock.steady_now() + sleep).time_since_epoch();
  return sleep;
}

std::vector<Run> Scheduler::run_due() {
  const std::scoped_lock lock(mutex_);
  return look();
}

std::vector<Scheduler::Due> Scheduler::due() {
  const std::scoped_lock lock(mutex_);
  refresh();
  const TimePoint now = services_.clock.now();
  std::vector<Due> found;
  for (const auto& [name, entry] : entries_) {
    if (!entry.timing) continue;  // it cannot fire; the log says why at each look
    const schedule::Decision decision = decide(entry, now);
    if (decision.waiting && decision.starts_at) {
      found.push_back(
          {name, decision.waiting->at, Action::wait,
           waiting_reason(*entry.timing, now, *decision.starts_at, expected_duration(entry.record)),
           decision.starts_at});
    } else if (decision.run) {
      found.push_back(due_run(entry, decision, now));
    } else if (decision.handled != mark_of(entry.record)) {
      found.push_back({name, decision.handled, Action::skip,
                       cat(decision.missed, " missed, and left out by --catch-up skip"),
                       std::nullopt});
    }
  }
  return found;
}

Scheduler::Due Scheduler::due_run(const Entry& entry, const schedule::Decision& decision,
                                  TimePoint now) const {
  Due due{entry.record.name, decision.run->at, Action::start,
          cat("scheduled for ", decision.run->local), now};
  if (!decision.run->reason.empty()) due.reason += cat(" (", decision.run->reason, ")");
  if (decision.missed > 0) {
    due.reason += cat("; ", decision.missed, " earlier times were missed, one run stands for all");
  }
  std::string obstacle;
  try {
    obstacle = prepare(entry.record).obstacle;
  } catch (const Error& error) {
    obstacle = error.message();
  }
  if (!obstacle.empty()) {
    due.action = Action::skip;
    due.reason = obstacle;
    due.starts_at.reset();
  }
  return due;
}

Run Scheduler::fire_now(const catalog::Schedule& schedule) {
  Prepared prepared = prepare(schedule);
  prepared.request.windows.clear();  // somebody wants it now
  return start(std::move(prepared), std::nullopt);
}

std::optional<TimePoint> Scheduler::next_run(const catalog::Schedule& schedule) {
  const std::scoped_lock lock(mutex_);
  refresh();
  const auto entry = entries_.find(schedule.name);
  return entry == entries_.end() ? std::nullopt : entry->second.starts_at;
}

std::string Scheduler::why_waiting(const catalog::Schedule& schedule) {
  const std::scoped_lock lock(mutex_);
  refresh();
  const auto found = entries_.find(schedule.name);
  if (found == entries_.end() || !found->second.timing) return {};
  const Entry& entry = found->second;
  const TimePoint now = services_.clock.now();
  const schedule::Decision decision = decide(entry, now);
  if (decision.clock_behind > kLongestSleep) {
    return cat("the clock is ", show(decision.clock_behind),
               " behind its last fire; it waits until the clock has caught up, or until it is "
               "paused and resumed");
  }
  if (!decision.starts_at || !decision.wake_at) return {};
  const Milliseconds expected = expected_duration(schedule);
  if (decision.waiting) return waiting_reason(*entry.timing, now, *decision.starts_at, expected);
  if (decision.starts_at == decision.wake_at) return {};
  return cat("next time ", entry.timing->zone.format_local(*decision.wake_at), ": ",
             waiting_reason(*entry.timing, *decision.wake_at, *decision.starts_at, expected));
}

int Scheduler::passed(const catalog::Schedule& schedule) const {
  try {
    const auto decision =
        schedule::decide(make_timing(schedule), mark_of(schedule), services_.clock.now());
    return decision.missed + (decision.run || decision.waiting ? 1 : 0);
  } catch (const Error&) {
    return 0;  // it could not fire
  }
}

std::map<std::string, TimePoint> Scheduler::next_runs_by_job() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, TimePoint> next;
  for (const auto& [name, entry] : entries_) {
    if (entry.record.kind != ScheduleKind::job || !entry.starts_at) continue;
    const auto [it, fresh] = next.emplace(entry.record.target, *entry.starts_at);
    if (!fresh) it->second = std::min(it->second, *entry.starts_at);
  }
  return next;
}

std::optional<TimePoint> Scheduler::next_run_of_job(const std::string& job) const {
  const std::scoped_lock lock(mutex_);
  std::optional<TimePoint> next;
  for (const auto& [name, entry] : entries_) {
    if (entry.record.kind != ScheduleKind::job || entry.record.target != job) continue;
    if (entry.starts_at && (!next || *entry.starts_at < *next)) next = entry.starts_at;
  }
  return next;
}

double Scheduler::lag_seconds() const {
  const util::SteadyPoint::duration expected = expected_tick_;
  if (expected == util::SteadyPoint::duration::zero()) return 0;
  const auto late = services_.clock.steady_now().time_since_epoch() - expected;
  return std::max(0.0, std::chrono::duration<double>(late).count());
}

}  // namespace dbbackup::job
