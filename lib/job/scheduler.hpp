// From schedules to runs: starts what is due, and says when to look again.
//
// All decisions about time are schedule::decide()'s; this class loads, asks, and acts. It never
// waits: the daemon's timer calls tick() when the returned delay is over, and whenever schedules
// change. The delay is capped, so that a clock that is set, or a machine that was suspended, is
// noticed within a minute.
//
// A look costs nothing while nothing is due, however many schedules there are: they are kept in
// memory with the instant at which each has to be looked at again, in order, and are read anew only
// when the catalog says that one of them changed (schedules_version()).
//
// Threads: safe from any thread. Requires: services and runner outlive it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
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

  enum class Action { start, skip, wait };
  // What tick() would do now about a schedule whose time has come, and why.
  struct Due {
    std::string schedule;
    util::TimePoint at;  // the scheduled instant
    Action action;
    std::string reason;
    std::optional<util::TimePoint> starts_at;  // empty for what would be skipped
  };
  std::vector<Due> due();
  // Starts what is due now and returns the runs.
  std::vector<Run> run_due();

  // Starts a run of this schedule at once, beside its times and windows.
  Run fire_now(const catalog::Schedule& schedule);

  // When a run of this schedule may start next, jitter and windows included; empty when paused, and
  // when its time zone or expression cannot be used any more.
  std::optional<util::TimePoint> next_run(const catalog::Schedule& schedule);
  // Why a schedule whose time has come does not start yet; empty when there is nothing to say.
  std::string why_waiting(const catalog::Schedule& schedule);
  // How many scheduled instants lie between the schedule's mark and now.
  int passed(const catalog::Schedule& schedule) const;
  // How long a run of this schedule probably takes, from its history; 0 when that does not matter,
  // because it has no windows.
  util::Milliseconds expected_duration(const catalog::Schedule& schedule) const;
  // As of the last tick.
  std::map<std::string, util::TimePoint> next_runs_by_job() const;
  std::optional<util::TimePoint> next_run_of_job(const std::string& job) const;

  // How late the timer is: 0 while it sleeps, growing when nobody calls tick() although something
  // is due. Measured in time that passed, so that a clock that is set does not look like a delay.
  double lag_seconds() const;

 private:
  struct Entry {
    catalog::Schedule record;
    std::optional<schedule::Timing> timing;     // empty: it cannot be used, and the log says why
    std::optional<util::TimePoint> look_at;     // empty: it never fires again
    std::optional<util::TimePoint> starts_at;   // see next_run()
    std::optional<util::TimePoint> told_until;  // the end of the waiting that was told last
  };
  struct Prepared {
    Run run;
    Request request;
    std::string obstacle;  // why it is skipped instead of started; mostly empty
  };

  // All of these require mutex_.
  void refresh();
  void plan(Entry& entry, util::TimePoint now);
  void notice_clock(util::TimePoint now);
  schedule::Decision decide(const Entry& entry, util::TimePoint now) const;
  std::vector<Run> look();
  void serve(Entry& entry, util::TimePoint now, std::vector<Run>& runs);
  void tell_waiting(Entry& entry, const schedule::Decision& decision, util::TimePoint now);
  void tell_started(const Entry& entry, const schedule::Decision& decision);
  void tell_behind(util::TimePoint now);
  Due due_run(const Entry& entry, const schedule::Decision& decision, util::TimePoint now) const;

  Prepared prepare(const catalog::Schedule& schedule) const;
  Run start(Prepared prepared, std::optional<util::TimePoint> fired_at);
  Run skip(Run run, const std::string& reason, std::optional<util::TimePoint> fired_at);
  void tell(const std::string& action, const std::string& schedule, const std::string& detail);

  Services& services_;
  Runner& runner_;
  mutable std::mutex mutex_;
  std::uint64_t version_ = 0;                                 // of what `entries_` were read from
  std::map<std::string, Entry> entries_;                      // the schedules that are not paused
  std::set<std::pair<util::TimePoint, std::string>> agenda_;  // look_at and name
  std::optional<util::TimePoint> looked_at_;
  util::SteadyPoint looked_at_steady_{};
  std::size_t behind_told_ = 0;  // how many marks lay ahead of the clock when that was told last
  std::atomic<util::SteadyPoint::duration> expected_tick_{util::SteadyPoint::duration::zero()};
};

std::string_view action_name(Scheduler::Action action);

// Why a due run does not start at `now`, for people: windows closed, or about to close.
std::string waiting_reason(const schedule::Timing& timing, util::TimePoint now,
                           util::TimePoint starts_at, util::Milliseconds expected);

// A run of the job as it stands, ready to be submitted, and what it is asked to do.
Run run_of_job(const catalog::Job& job, const std::string& type);
Request request_of_job(const catalog::Job& job, unsigned default_parallel);

schedule::Timing make_timing(const catalog::Schedule& schedule);

}  // namespace dbbackup::job
