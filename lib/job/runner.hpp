// The Runner takes runs, queues them fairly, executes them on the job pool, and ends every one of
// them in the catalog.
//
// A run is in the catalog before it is in the queue, so a crash at any instant leaves a row that
// the next start finds: queued ones are resumed, running ones were interrupted. Two runs that must
// not overlap share a lane (one job, one restore target, one repository being pruned); the later
// one waits while others pass it.
//
// An attempt that fails may be followed by another one (retry.hpp): the run is then queued again,
// with a time before which it does not start. Limits of time are watched from outside: the daemon's
// timer calls watch(), which asks an attempt to stop that has taken too long or moves nothing.
//
// Threads: all members are safe from any thread.
// Owns: the live state of queued and running runs. Requires: services outlive it.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "job/request.hpp"
#include "job/run_queue.hpp"
#include "job/services.hpp"
#include "job/start_hours.hpp"
#include "job/verbs.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

// What a run does; a simulation gives its own.
using Perform = std::function<RunState(Services&, Run&, const Request&, util::Task&)>;

struct RunnerOptions {
  RunLimits limits = {};
  // Of attempts whose job does not say: how long a backup may move nothing (0: for ever), and how
  // long a hook may take.
  util::Milliseconds stall_timeout = std::chrono::hours(2);
  util::Milliseconds hook_timeout = std::chrono::minutes(10);
  Perform perform = &job::perform;
};

class Runner {
 public:
  using Post = std::function<void(std::function<void()>)>;

  // `post` puts work on the job pool, which has at least `limits.runs` threads.
  Runner(Services& services, Post post, RunnerOptions options);
  Runner(Services& services, Post post, std::size_t runs_at_once, Perform perform = &job::perform);
  ~Runner();

  // Fills in id, queued_at and state, writes the run to the catalog and queues it. `fired_at` is
  // set for runs that a schedule started: the catalog then notes in the same transaction that this
  // instant was dealt with.
  Run submit(Run run, const Request& request, std::optional<util::TimePoint> fired_at = {});
  // Decides about the runs that an earlier process left in state running; once, before resume().
  void settle_interrupted();
  // Queues again what an earlier process left in state queued.
  void resume(const Run& run);

  // Errors: not_found; conflict when it has ended.
  void cancel(const std::string& run_id);

  struct Snapshot {
    Run run;
    double rate_bytes_per_second = 0;  // since the start
    std::string waits_for;             // of a queued run; for people
  };
  // The newest state of a run, with live progress.
  Snapshot snapshot(const std::string& run_id) const;
  // Waits until anything about any run changed, or the time is over.
  void wait_for_change(util::Milliseconds at_most, const std::stop_token& stop) const;
  // Whether the job (by name) is queued or running.
  bool busy(const std::string& job) const;
  // Whether a run that this schedule started is queued or running.
  bool schedule_busy(const std::string& schedule) const;
  // Whether a run of the job, or one that this schedule started, is queued and not running yet.
  bool waiting(const std::string& job, const std::string& schedule) const;
  // Starts what may start now; to be called when time has passed, because windows open by
  // themselves.
  void look();

  // Starts the retries whose time has come, and stops attempts that took too long or stalled. To be
  // called about once a second.
  void watch();
  std::vector<std::string> executing() const;  // ids
  // Of the runs that wait to be tried again: when, by job name.
  std::map<std::string, util::TimePoint> retries_by_job() const;

  // From now on nothing new starts; queued runs stay queued in the catalog for the next process.
  void drain();
  void cancel_all();
  // Requires: drain() was called.
  void wait_until_idle();
  std::size_t running() const;

 private:
  struct Live;
  struct Outcome {
    RunState state = RunState::failed;
    std::optional<util::Error> error;
  };
  // Require: mutex_ is held.
  std::shared_ptr<Live> enqueue(const Run& run, const Request& request, StartHours hours);
  void start_what_fits();
  void stop_when_over_limit(Live& live, util::SteadyPoint now);
  std::string waits_for(const Live& live) const;

  // One attempt, on a thread of the pool. attempt.cpp
  void execute(const std::shared_ptr<Live>& live);
  Outcome attempt(Live& live, Run& run);
  util::Task task_of(Live& live, const Run& run, const std::stop_token& stop);
  // Queues the run again. False when it shall not, or cannot.
  bool try_again(Live& live, const Run& run, const Outcome& outcome);
  void finish(Live& live, Run run, const Outcome& outcome);

  Needs needs_of(const Run& run, const Request& request) const;

  Services& services_;
  Post post_;
  const RunnerOptions options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  RunQueue queue_;
  std::map<std::string, std::shared_ptr<Live>> live_;  // queued and running, by run id
  bool draining_ = false;
  std::uint64_t changes_ = 0;
};

}  // namespace dbbackup::job
