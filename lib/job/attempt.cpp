// One attempt of a run: its hooks and its verb, within its limits of time, and what comes after it.
#include <random>

#include "job/hooks.hpp"
#include "job/live_run.hpp"
#include "job/retry.hpp"
#include "job/runner.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
catalog::RunError record_of(const Error& error) {
  return {std::string(util::traits(error.code()).name), error.message(), error.hint()};
}

void reset(util::Progress& progress) {
  progress.streams_done = 0;
  progress.streams_total = 0;
  progress.rows = 0;
  progress.bytes = 0;
  progress.bytes_total = 0;
}

double chance() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

util::LogFields fields_of(const Run& run) { return {{"run", run.id}, {"job", run.job}}; }
}  // namespace

void Runner::settle_interrupted() {
  const util::TimePoint now = services_.clock.now();
  const auto settle = [&](Run run) { return after_interruption(std::move(run), now, chance()); };
  for (const Run& run : services_.catalog.settle_running(settle)) {
    const bool again = run.state == RunState::queued;
    std::string text = cat(catalog::run_kind_name(run.kind), " was interrupted");
    if (again) text += cat("; it is tried again at ", util::format_rfc3339(*run.start_after));
    services_.log.warn(text, fields_of(run));
    services_.catalog.append_log(run.id, {now, util::Severity::warning, text});
    catalog::Event event;
    event.action = again ? "run.retry" : "run.interrupted";
    event.object = cat("run ", run.id);
    event.outcome = "interrupted";
    event.detail = text;
    services_.catalog.add_event(event);
  }
}

util::Task Runner::task_of(Live& live, const Run& run, const std::stop_token& stop) {
  return {
      stop, live.progress,
      [this, id = run.id, fields = fields_of(run)](util::Severity severity, std::string_view line) {
        services_.catalog.append_log(id, {services_.clock.now(), severity, std::string(line)});
        services_.log.log(severity, line, fields);
        const std::scoped_lock lock(mutex_);
        ++changes_;
        changed_.notify_all();
      }};
}

void Runner::execute(const std::shared_ptr<Live>& live) {
  Run run;
  {
    const std::scoped_lock lock(mutex_);
    live->run.state = RunState::running;
    live->run.started_at = services_.clock.now();
    live->run.heartbeat_at = live->run.started_at;
    live->run.fence = services_.fence;
    live->run.start_after.reset();
    live->started = live->moved = services_.clock.steady_now();
    run = live->run;
  }
  const Outcome outcome = attempt(*live, run);
  if (!try_again(*live, run, outcome)) finish(*live, std::move(run), outcome);
}

Runner::Outcome Runner::attempt(Live& live, Run& run) {
  Outcome outcome;
  const Policy& policy = live.request.policy;
  const util::Milliseconds hook_time = policy.hook_timeout.value_or(options_.hook_timeout);
  bool begun = false;
  try {
    util::kill_point("run.before_start");
    services_.catalog.update_run(run);
    util::kill_point("run.after_start");
    services_.log.info(cat(catalog::run_kind_name(run.kind), " started"), fields_of(run));
    util::Task task = task_of(live, run, live.stop.get_token());
    task.check();
    begun = true;
    run_pre_hook({policy.pre_hook, hook_time}, run, services_.clock, task);
    {
      const std::scoped_lock lock(mutex_);
      live.verb_runs = true;
      live.moved = services_.clock.steady_now();
    }
    outcome.state = options_.perform(services_, run, live.request, task);
  } catch (...) {
    outcome.error = util::current_error();
  }
  {
    const std::scoped_lock lock(mutex_);
    live.verb_runs = false;
    live.verb_is_over = true;
    // What a verb says when it is stopped in the middle may be anything; the reason is known here.
    if (outcome.error && live.over_limit) outcome.error = live.over_limit;
  }
  if (outcome.error) {
    outcome.state =
        outcome.error->code() == ErrorCode::cancelled ? RunState::cancelled : RunState::failed;
  }
  if (begun && !policy.post_hook.empty()) {
    Run told = run;
    told.state = outcome.state;
    if (outcome.error) told.error = record_of(*outcome.error);
    util::Task task = task_of(live, run, live.stop_post_hook.get_token());
    if (const auto warning =
            run_post_hook({policy.post_hook, hook_time}, told, services_.clock, task)) {
      run.warnings.push_back(*warning);
    }
  }
  util::kill_point("run.before_finish");
  return outcome;
}

bool Runner::try_again(Live& live, const Run& run, const Outcome& outcome) {
  if (outcome.state != RunState::failed || !outcome.error) return false;
  const catalog::RunError error = record_of(*outcome.error);
  const auto delay = retry_delay(run, live.request.policy, error, chance());
  if (!delay) return false;
  const util::TimePoint now = services_.clock.now();
  const Run next = next_attempt(run, RunState::failed, error, now, *delay);
  const std::string text = cat("attempt ", run.attempt, " of ", live.request.policy.retries + 1,
                               " failed: ", error.message, " (", error.code,
                               "); the next one is at ", util::format_rfc3339(*next.start_after));
  {
    const std::scoped_lock lock(mutex_);
    if (live.cancelled) return false;  // asked for while the attempt was failing by itself
  }
  try {
    services_.catalog.append_log(run.id, {now, util::Severity::warning, text});
    util::kill_point("run.before_retry");
    services_.catalog.update_run(next);
    util::kill_point("run.after_retry");
    catalog::Event event;
    event.action = "run.retry";
    event.object = cat("run ", run.id);
    event.outcome = error.code;
    event.detail = text;
    services_.catalog.add_event(event);
  } catch (...) {
    services_.log.error(cat("cannot record a retry: ", util::current_error().message()),
                        fields_of(run));
    return false;
  }
  services_.log.warn(text, fields_of(run));
  bool cancelled_meanwhile = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.remove(run.id);
    reset(live.progress);
    enqueue(next, live.request, live.hours);
    start_what_fits();
    cancelled_meanwhile = live.cancelled;
  }
  if (cancelled_meanwhile) {
    try {
      cancel(run.id);
    } catch (const Error&) {
      // Whoever asked for it asked again, and that has ended it.
    }
  }
  return true;
}

void Runner::finish(Live& live, Run run, const Outcome& outcome) {
  run.state = outcome.state;
  run.finished_at = services_.clock.now();
  run.heartbeat_at = run.finished_at;
  run.start_after.reset();
  copy_progress(live.progress, run);
  if (outcome.error) run.error = record_of(*outcome.error);
  try {
    if (run.error) {
      services_.catalog.append_log(run.id, {*run.finished_at, util::Severity::error,
                                            cat(run.error->message, " (", run.error->code, ")")});
    }
    services_.catalog.update_run(run);
    util::kill_point("run.after_finish");
    catalog::Event event;
    event.action = cat("run.", catalog::run_state_name(run.state));
    event.object = cat("run ", run.id);
    event.outcome = run.error ? run.error->code : "ok";
    event.detail = cat(catalog::run_kind_name(run.kind), " ",
                       run.job.empty() ? run.database : "job " + run.job,
                       run.error ? ": " + run.error->message : "");
    services_.catalog.add_event(event);
  } catch (...) {
    // The catalog itself failed: the row stays `running` and the next start settles it.
    services_.log.error(cat("cannot record the end of a run: ", util::current_error().message()),
                        fields_of(run));
  }
  const std::string text =
      cat(catalog::run_kind_name(run.kind), " ", catalog::run_state_name(run.state));
  if (run.error && run.state == RunState::failed) {
    services_.log.error(cat(text, ": ", run.error->message), fields_of(run));
  } else {
    services_.log.info(text, fields_of(run));
  }
  const std::scoped_lock lock(mutex_);
  live_.erase(run.id);
  queue_.remove(run.id);
  start_what_fits();
}

}  // namespace dbbackup::job
