#include "job/runner.hpp"

#include <algorithm>
#include <set>

#include "job/start_hours.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::RunKind;
using util::cat;
using util::Error;
using util::ErrorCode;

struct Runner::Live {
  Run run;  // guarded by the runner's mutex once queued; the executing thread works on a copy
  Request request;
  std::string lane;
  StartHours hours;
  std::stop_source stop;
  util::Progress progress;
  bool executing = false;
};

namespace {
// Runs in one lane never overlap.
std::string lane_of(const Run& run, const Request& request) {
  switch (run.kind) {
    case RunKind::backup:
      return run.job.empty() ? "" : "job:" + run.job;
    case RunKind::restore:
      return "target:" + request.target;
    case RunKind::drill:
      return request.target.empty() ? "" : "target:" + request.target;
    case RunKind::prune:
    case RunKind::rescan:
      return "maintain:" + run.repository;
    default:
      return "";
  }
}

void copy_progress(const util::Progress& progress, Run& run) {
  run.streams_done = progress.streams_done;
  run.streams_total = progress.streams_total;
  run.rows = progress.rows;
  run.bytes = progress.bytes;
  run.bytes_total = progress.bytes_total;
}
}  // namespace

Runner::Runner(Services& services, Post post, std::size_t runs_at_once, Perform perform)
    : services_(services),
      post_(std::move(post)),
      runs_at_once_(runs_at_once),
      perform_(std::move(perform)) {}

Runner::~Runner() = default;

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
  auto live = std::make_shared<Live>();
  live->run = run;
  live->request = request;
  live->lane = lane_of(run, request);
  live->hours = std::move(hours);
  live_[run.id] = live;
  queue_.push_back(std::move(live));
  start_what_fits();
  return run;
}

void Runner::resume(const Run& run) {
  const std::scoped_lock lock(mutex_);
  auto live = std::make_shared<Live>();
  live->run = run;
  live->request = decode_request(run.request);
  live->lane = lane_of(run, live->request);
  try {
    live->hours = StartHours(live->request);
  } catch (const Error& error) {
    // The time zone has gone since; better at another hour than never.
    services_.log.warn(cat("the windows of a queued run are left out: ", error.message()),
                       {{"run", run.id}});
  }
  live_[run.id] = live;
  queue_.push_back(std::move(live));
  start_what_fits();
}

// Requires: mutex_ is held.
void Runner::start_what_fits() {
  ++changes_;
  changed_.notify_all();
  if (draining_) return;
  const util::TimePoint now = services_.clock.now();
  std::set<std::string> busy;
  for (const auto& [id, live] : live_) {
    if (live->executing && !live->lane.empty()) busy.insert(live->lane);
  }
  for (auto it = queue_.begin(); it != queue_.end() && running_ < runs_at_once_;) {
    const std::shared_ptr<Live> live = *it;
    if (!live->hours.open_at(now) || (!live->lane.empty() && !busy.insert(live->lane).second)) {
      ++it;  // its hours are over, or its lane is taken; others may pass
      continue;
    }
    it = queue_.erase(it);
    live->executing = true;
    ++running_;
    post_([this, live] { execute(live); });
  }
}

void Runner::execute(const std::shared_ptr<Live>& live) {
  Run run;
  {
    const std::scoped_lock lock(mutex_);
    live->run.state = RunState::running;
    live->run.started_at = services_.clock.now();
    run = live->run;
  }
  const util::LogFields fields{{"run", run.id}, {"job", run.job}};
  RunState state = RunState::failed;
  std::optional<Error> error;
  try {
    services_.catalog.update_run(run);
    util::kill_point("run.after_start");
    services_.log.info(cat(catalog::run_kind_name(run.kind), " started"), fields);
    util::Task task(live->stop.get_token(), live->progress,
                    [&](util::Severity severity, std::string_view line) {
                      services_.catalog.append_log(
                          run.id, {services_.clock.now(), severity, std::string(line)});
                      services_.log.log(severity, line, fields);
                      const std::scoped_lock lock(mutex_);
                      ++changes_;
                      changed_.notify_all();
                    });
    task.check();
    state = perform_(services_, run, live->request, task);
    util::kill_point("run.before_finish");
  } catch (...) {
    error = util::current_error();
    state = error->code() == ErrorCode::cancelled ? RunState::cancelled : RunState::failed;
  }
  {
    const std::scoped_lock lock(mutex_);
    live->run = run;
  }
  finish(*live, state, error);
}

void Runner::finish(Live& live, RunState state, const std::optional<Error>& error) {
  Run run;
  {
    const std::scoped_lock lock(mutex_);
    run = live.run;
  }
  run.state = state;
  run.finished_at = services_.clock.now();
  copy_progress(live.progress, run);
  if (error) {
    run.error = catalog::RunError{std::string(util::traits(error->code()).name), error->message(),
                                  error->hint()};
  }
  const util::LogFields fields{{"run", run.id}, {"job", run.job}};
  try {
    if (error) {
      services_.catalog.append_log(run.id, {*run.finished_at, util::Severity::error,
                                            cat(error->message(), " (", run.error->code, ")")});
    }
    services_.catalog.update_run(run);
    catalog::Event event;
    event.action = cat("run.", catalog::run_state_name(state));
    event.object = cat("run ", run.id);
    event.outcome = error ? run.error->code : "ok";
    event.detail = cat(catalog::run_kind_name(run.kind), " ",
                       run.job.empty() ? run.database : "job " + run.job,
                       error ? ": " + error->message() : "");
    services_.catalog.add_event(event);
  } catch (...) {
    // The catalog itself failed: the row stays `running` and the next start marks it interrupted.
    services_.log.error(cat("cannot record the end of a run: ", util::current_error().message()),
                        fields);
  }
  const std::string text =
      cat(catalog::run_kind_name(run.kind), " ", catalog::run_state_name(state));
  if (error && state == RunState::failed) {
    services_.log.error(cat(text, ": ", error->message()), fields);
  } else {
    services_.log.info(text, fields);
  }
  const std::scoped_lock lock(mutex_);
  live_.erase(run.id);
  --running_;
  start_what_fits();
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
    it->second->stop.request_stop();
    if (it->second->executing) return;
    waiting = it->second;
    std::erase(queue_, waiting);
    waiting->executing = true;
    ++running_;
  }
  finish(*waiting, RunState::cancelled, Error(ErrorCode::cancelled, "cancelled before it started"));
}

Runner::Snapshot Runner::snapshot(const std::string& run_id) const {
  {
    const std::scoped_lock lock(mutex_);
    const auto it = live_.find(run_id);
    if (it != live_.end()) {
      Snapshot snapshot{it->second->run, 0};
      copy_progress(it->second->progress, snapshot.run);
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
  return {services_.catalog.run(run_id), 0};
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
  return std::any_of(queue_.begin(), queue_.end(), [&](const auto& live) {
    return (!job.empty() && live->run.job == job) || live->run.schedule == schedule;
  });
}

void Runner::look() {
  const std::scoped_lock lock(mutex_);
  start_what_fits();
}

void Runner::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
}

void Runner::cancel_all() {
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, live] : live_) {
    if (live->executing) live->stop.request_stop();
  }
}

void Runner::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
}

std::size_t Runner::running() const {
  const std::scoped_lock lock(mutex_);
  return running_;
}

}  // namespace dbbackup::job
