#include "job/runner.hpp"

#include <algorithm>

#include "job/live_run.hpp"
#include "job/start_hours.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::RunKind;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
// Runs in one lane never overlap.
std::string lane_of(const Run& run, const Request& request) {
  switch (run.kind) {
    case RunKind::backup:
      return run.job.empty() ? "" : "job " + run.job;
    case RunKind::restore:
      return "restore into " + request.target;
    case RunKind::drill:
      return request.target.empty() ? "" : "restore into " + request.target;
    case RunKind::prune:
    case RunKind::rescan:
      return "maintenance of repository " + run.repository;
    default:
      return "";
  }
}

// Who takes turns in the queue.
std::string group_of(const Run& run) {
  if (!run.job.empty()) return "job " + run.job;
  if (!run.schedule.empty()) return "schedule " + run.schedule;
  return cat(catalog::run_kind_name(run.kind), " ", run.database, " ", run.repository);
}

std::uint64_t movement_of(const util::Progress& progress) {
  return progress.bytes + progress.rows + progress.streams_done;
}
}  // namespace

void copy_progress(const util::Progress& progress, Run& run) {
  run.streams_done = progress.streams_done;
  run.streams_total = progress.streams_total;
  run.rows = progress.rows;
  run.bytes = progress.bytes;
  run.bytes_total = progress.bytes_total;
}

Runner::Runner(Services& services, Post post, RunnerOptions options)
    : services_(services), post_(std::move(post)), options_(options), queue_(options_.limits) {}

Runner::Runner(Services& services, Post post, std::size_t runs_at_once, Perform perform)
    : Runner(services, std::move(post),
             RunnerOptions{.limits = {.runs = runs_at_once}, .perform = std::move(perform)}) {}

Runner::~Runner() = default;

// A file counts as being on this machine. What has no address any more needs no share of a host.
Needs Runner::needs_of(const Run& run, const Request& request) const {
  Needs needs{group_of(run), lane_of(run, request), {}, run.repository};
  const bool reads = run.kind == RunKind::backup;
  const bool writes = run.kind == RunKind::restore || run.kind == RunKind::drill;
  const std::string& name = reads ? run.database : request.target;
  if ((!reads && !writes) || name.empty()) return needs;
  try {
    if (const auto database = services_.catalog.find_database(name)) {
      needs.host = engine::parse_url(database->url).host;
      if (needs.host.empty()) needs.host = "localhost";
    }
  } catch (const Error&) {
    // The run itself will say what is wrong with the URL.
  }
  return needs;
}

std::shared_ptr<Runner::Live> Runner::enqueue(const Run& run, const Request& request,
                                              StartHours hours) {
  auto live = std::make_shared<Live>();
  live->run = run;
  live->request = request;
  live->hours = std::move(hours);
  if (run.start_after) {
    // Capped: a clock that was set back must not keep it waiting for longer than it should.
    const util::Milliseconds longest =
        std::max(request.policy.retry_delay, request.policy.retry_max_delay);
    const util::Milliseconds wait = *run.start_after - services_.clock.now();
    live->wake_at = services_.clock.steady_now() + std::clamp(wait, util::Milliseconds(0), longest);
  }
  live_[run.id] = live;
  queue_.add(run.id, needs_of(run, request), run.start_after.has_value());
  return live;
}

Run Runner::submit(Run run, const Request& request, std::optional<util::TimePoint> fired_at) {
  run.id = services_.ids.next();
  run.queued_at = services_.clock.now();
  run.state = RunState::queued;
  run.request = encode_request(request);
  StartHours hours(request);
  const std::scoped_lock lock(mutex_);
  if (draining_) {
    throw Error(ErrorCode::unavailable, "the daemon is stopping and takes no new runs");
  }
  if (fired_at) {
    services_.catalog.add_scheduled_run(run, run.schedule, *fired_at);
  } else {
    services_.catalog.add_run(run);
  }
  util::kill_point("run.after_submit");
  enqueue(run, request, std::move(hours));
  start_what_fits();
  return run;
}

void Runner::resume(const Run& run) {
  const std::scoped_lock lock(mutex_);
  Request request = decode_request(run.request);
  StartHours hours;
  try {
    hours = StartHours(request);
  } catch (const Error& error) {
    // The time zone has gone since; better at another hour than never.
    services_.log.warn(cat("the windows of a queued run are left out: ", error.message()),
                       {{"run", run.id}});
  }
  enqueue(run, request, std::move(hours));
  start_what_fits();
}

void Runner::start_what_fits() {
  ++changes_;
  changed_.notify_all();
  if (draining_) return;
  const util::TimePoint now = services_.clock.now();
  for (const auto& [id, live] : live_) {
    if (live->executing || live->run.start_after || live->hours.any_time()) continue;
    queue_.delay(id, !live->hours.open_at(now));
  }
  for (const std::string& id : queue_.take()) {
    const std::shared_ptr<Live> live = live_.at(id);
    live->executing = true;
    post_([this, live] { execute(live); });
  }
}

void Runner::watch() {
  const std::scoped_lock lock(mutex_);
  const util::SteadyPoint steady = services_.clock.steady_now();
  const util::TimePoint now = services_.clock.now();
  bool woken = false;
  for (const auto& [id, live] : live_) {
    if (live->executing) {
      stop_when_over_limit(*live, steady);
    } else if (live->run.start_after &&
               (now >= *live->run.start_after || steady >= live->wake_at)) {
      live->run.start_after.reset();
      queue_.delay(id, false);
      woken = true;
    }
  }
  if (woken) start_what_fits();
}

// The verb hears of it through its stop token, as when somebody cancels it; the error that it ends
// with is replaced by the reason.
void Runner::stop_when_over_limit(Live& live, util::SteadyPoint now) {
  if (live.over_limit || live.cancelled || live.verb_is_over) return;
  const Policy& policy = live.request.policy;
  if (live.started && policy.timeout && now - *live.started >= *policy.timeout) {
    live.over_limit = Error(
        ErrorCode::timed_out, cat("it took longer than ", util::format_duration(*policy.timeout)),
        "see where the time went in 'dbbackupctl run log', or raise the job's --timeout");
  }
  const util::Milliseconds stall = policy.stall_timeout.value_or(options_.stall_timeout);
  if (const std::uint64_t movement = movement_of(live.progress); movement != live.movement) {
    live.movement = movement;
    live.moved = now;
  }
  // Backups only: a restore that builds an index moves nothing for hours and is fine.
  const bool watched = live.verb_runs && live.run.kind == RunKind::backup;
  if (!live.over_limit && watched && stall.count() > 0 && now - live.moved >= stall) {
    live.over_limit =
        Error(ErrorCode::timed_out, cat("nothing was read for ", util::format_duration(stall)),
              "does the database or the repository's store hang? --stall-timeout sets the limit");
  }
  if (live.over_limit) live.stop.request_stop();
}

void Runner::cancel(const std::string& run_id) {
  std::shared_ptr<Live> waiting;
  {
    const std::scoped_lock lock(mutex_);
    const auto it = live_.find(run_id);
    if (it == live_.end()) {
      const Run known = services_.catalog.run(run_id);
      throw Error(ErrorCode::conflict, cat("run ", known.id, " has already ended"));
    }
    Live& live = *it->second;
    if (live.executing) {
      // The post-hook of a cancelled run still cleans up; cancelling once more ends it as well.
      if (live.verb_is_over) live.stop_post_hook.request_stop();
      live.cancelled = true;
      live.stop.request_stop();
      return;
    }
    waiting = it->second;
    waiting->executing = true;
    queue_.remove(run_id);
  }
  const std::string when = waiting->run.attempt > 1
                               ? cat("cancelled while it waited for attempt ", waiting->run.attempt)
                               : "cancelled before it started";
  finish(*waiting, waiting->run, {RunState::cancelled, Error(ErrorCode::cancelled, when)});
}

std::string Runner::waits_for(const Live& live) const {
  if (live.executing) return {};
  if (live.run.start_after) {
    return cat("attempt ", live.run.attempt, " of ", live.request.policy.retries + 1, " at ",
               util::format_rfc3339(*live.run.start_after));
  }
  if (draining_) return "the next start of the daemon";
  if (!live.hours.open_at(services_.clock.now())) return "a window of its schedule to open";
  return queue_.waits_for(live.run.id);
}

Runner::Snapshot Runner::snapshot(const std::string& run_id) const {
  {
    const std::scoped_lock lock(mutex_);
    const auto it = live_.find(run_id);
    if (it != live_.end()) {
      const Live& live = *it->second;
      Snapshot snapshot{live.run, 0, waits_for(live)};
      copy_progress(live.progress, snapshot.run);
      if (snapshot.run.started_at) {
        const auto passed = services_.clock.now() - *snapshot.run.started_at;
        if (passed.count() > 0) {
          snapshot.rate_bytes_per_second = static_cast<double>(snapshot.run.bytes) * 1000.0 /
                                           static_cast<double>(passed.count());
        }
      }
      return snapshot;
    }
  }
  return {services_.catalog.run(run_id), 0, {}};
}

void Runner::wait_for_change(util::Milliseconds at_most, const std::stop_token& stop) const {
  std::unique_lock lock(mutex_);
  const std::uint64_t seen = changes_;
  changed_.wait_for(lock, stop, at_most, [&] { return changes_ != seen; });
}

bool Runner::busy(const std::string& job) const {
  const std::scoped_lock lock(mutex_);
  return std::any_of(live_.begin(), live_.end(),
                     [&](const auto& entry) { return entry.second->run.job == job; });
}

bool Runner::schedule_busy(const std::string& schedule) const {
  const std::scoped_lock lock(mutex_);
  return std::any_of(live_.begin(), live_.end(),
                     [&](const auto& entry) { return entry.second->run.schedule == schedule; });
}

bool Runner::waiting(const std::string& job, const std::string& schedule) const {
  const std::scoped_lock lock(mutex_);
  return std::any_of(live_.begin(), live_.end(), [&](const auto& entry) {
    const Live& live = *entry.second;
    if (live.executing) return false;
    return (!job.empty() && live.run.job == job) || live.run.schedule == schedule;
  });
}

void Runner::look() {
  const std::scoped_lock lock(mutex_);
  start_what_fits();
}

std::vector<std::string> Runner::executing() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, live] : live_) {
    if (live->executing) ids.push_back(id);
  }
  return ids;
}

std::map<std::string, util::TimePoint> Runner::retries_by_job() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, util::TimePoint> retries;
  for (const auto& [id, live] : live_) {
    if (live->run.start_after && !live->executing) retries[live->run.job] = *live->run.start_after;
  }
  return retries;
}

void Runner::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
}

void Runner::cancel_all() {
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, live] : live_) {
    if (!live->executing) continue;
    if (live->verb_is_over) live->stop_post_hook.request_stop();
    live->cancelled = true;
    live->stop.request_stop();
  }
}

void Runner::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.executing() == 0; });
}

std::size_t Runner::running() const {
  const std::scoped_lock lock(mutex_);
  return queue_.executing();
}

}  // namespace dbbackup::job
