// From schedules to runs: looks at every schedule of the catalog, starts what is due, and says when
// to look again.
//
// All decisions about time are schedule::decide()'s; this class loads, asks, and acts. It never
// waits: the daemon's timer calls tick() when the returned delay is over, and whenever schedules
// change. The delay is capped, so that a clock that is set, or a machine that was suspended, is
// noticed within a minute.
//
// Threads: safe from any thread. Requires: services and runner outlive it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "job/runner.hpp"
#include "job/services.hpp"
#include "schedule/due.hpp"

namespace dbbackup::job {

class Scheduler {
 public:
  static constexpr util::Milliseconds kLongestSleep = std::chrono::minutes(1);

  Scheduler(Services& services, Runner& runner);

  // Starts what is due and returns how long to sleep.
  util::Milliseconds tick();

  struct Due {
    std::string schedule;
    util::TimePoint at;
  };
  // What tick() would start now.
  std::vector<Due> due() const;
  // Starts what is due now and returns the runs.
  std::vector<Run> run_due();

  // Starts a run of this schedule at once, beside its times.
  Run fire_now(const catalog::Schedule& schedule);

  // The next time a run of this schedule may start, jitter included; empty when paused, and when
  // its time zone or expression cannot be used any more.
  std::optional<util::TimePoint> next_run(const catalog::Schedule& schedule) const;
  // As of the last tick.
  std::map<std::string, util::TimePoint> next_runs_by_job() const;
  std::optional<util::TimePoint> next_run_of_job(const std::string& job) const;

  // How late the timer is: 0 while it sleeps, growing when nobody calls tick() although something
  // is due.
  double lag_seconds() const;

 private:
  struct Timed {
    std::string key;  // what the timing was made from; a change makes it anew
    schedule::Timing timing;
  };
  // Requires: mutex_ is held. Errors: those of parsing, which `add` has refused before.
  const schedule::Timing& timing_of(const catalog::Schedule& schedule) const;
  std::vector<Run> look(std::optional<util::TimePoint>& wake);
  Run start(const catalog::Schedule& schedule, std::optional<util::TimePoint> fired_at);
  Run skip(Run run, const std::string& reason, std::optional<util::TimePoint> fired_at);

  Services& services_;
  Runner& runner_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Timed> timings_;
  std::map<std::string, util::TimePoint> next_by_job_;
  std::atomic<std::int64_t> expected_tick_ms_{0};
};

// A run of the job as it stands, ready to be submitted, and what it is asked to do.
Run run_of_job(const catalog::Job& job, const std::string& type);
Request request_of_job(const catalog::Job& job, unsigned default_parallel);

schedule::Timing make_timing(const catalog::Schedule& schedule);

}  // namespace dbbackup::job
