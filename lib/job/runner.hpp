// The Runner takes runs, queues them fairly, executes them on the job pool, and ends every one of
// them in the catalog.
//
// A run is in the catalog before it is in the queue, so a crash at any instant leaves a row that
// the next start finds: queued ones are resumed, running ones were interrupted. Two runs that must
// not overlap share a lane (one job, one restore target, one repository being pruned); the later
// one waits while others pass it.
//
// Threads: all members are safe from any thread.
// Owns: the live state of queued and running runs. Requires: services outlive it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "job/request.hpp"
#include "job/services.hpp"
#include "job/verbs.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

class Runner {
 public:
  using Post = std::function<void(std::function<void()>)>;
  using Perform = std::function<RunState(Services&, Run&, const Request&, util::Task&)>;

  // `post` puts work on the job pool, which has at least `runs_at_once` threads. `perform` is what
  // a run does; a simulation gives its own.
  Runner(Services& services, Post post, std::size_t runs_at_once, Perform perform = &job::perform);
  ~Runner();

  // Fills in id, queued_at and state, writes the run to the catalog and queues it. `fired_at` is
  // set for runs that a schedule started: the catalog then notes in the same transaction that this
  // instant was dealt with.
  Run submit(Run run, const Request& request, std::optional<util::TimePoint> fired_at = {});
  // Queues again what an earlier process left in state queued.
  void resume(const Run& run);

  // Errors: not_found; conflict when it has ended.
  void cancel(const std::string& run_id);

  struct Snapshot {
    Run run;
    double rate_bytes_per_second = 0;  // since the start
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

  // From now on nothing new starts; queued runs stay queued in the catalog for the next process.
  void drain();
  void cancel_all();
  // Requires: drain() was called.
  void wait_until_idle();
  std::size_t running() const;

 private:
  struct Live;
  void start_what_fits();
  void execute(const std::shared_ptr<Live>& live);
  void finish(Live& live, RunState state, const std::optional<util::Error>& error);

  Services& services_;
  Post post_;
  const std::size_t runs_at_once_;
  const Perform perform_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Live>> queue_;
  std::map<std::string, std::shared_ptr<Live>> live_;  // queued and running, by run id
  std::size_t running_ = 0;
  bool draining_ = false;
  std::uint64_t changes_ = 0;
};

}  // namespace dbbackup::job
