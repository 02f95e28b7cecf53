// What must hold at every step of the simulated year, computed without the code under test: the
// instants of a schedule with a fixed time of day come from a list made here, day by day.
//
// - A scheduled instant is dealt with at most once, in order, whatever clocks and restarts do.
// - A fixed time of day is dealt with exactly once per local day: by a run (or the record of one
// that
//   was skipped), or, only when something kept the timer from it (the process was down, the clock
//   jumped, the schedule was paused, its windows were closed), together with a later one.
// - While the process is up, nothing is late: what is due is started in the same step, unless it
//   waits for a window.
// - Two runs of one job never overlap, and no run starts outside its windows.
//
// What retention promises is shelf.hpp's.
//
// Threads: one. Errors: Violation.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"
#include "job/scheduler.hpp"

namespace dbbackup::simulation {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A schedule as the simulation makes it: "MM HH * * *", or that on one weekday or day of the month.
struct FixedTime {
  int hour = 0;
  int minute = 0;
  int weekday = -1;  // 0 is Sunday
  int day = -1;
};

class Invariants {
 public:
  Invariants(catalog::Catalog& catalog, util::TimePoint begin, util::TimePoint end);

  // `fixed` is empty for a schedule that follows the clock.
  void watch(const catalog::Schedule& schedule, const std::optional<FixedTime>& fixed);

  // The timer was kept from everything between two readings of the clock.
  void kept_from_all(util::TimePoint from, util::TimePoint to);
  void kept_from(const std::string& schedule, util::TimePoint from, util::TimePoint to);
  void paused(const std::string& schedule, bool is_paused);
  // A new process, or a clock that went back: what waits for a window is decided anew, by what the
  // history then says.
  void planned_anew();
  // The process has died: nothing is under way any more.
  void crashed(util::SteadyPoint at);

  // After the timer has looked: `runs` is what it started or skipped.
  void looked(job::Scheduler& scheduler, const std::vector<job::Run>& runs, util::TimePoint now);
  void ran(const job::Run& run, util::TimePoint begun, util::SteadyPoint begun_steady,
           util::SteadyPoint ended);
  // Once per simulated day, with the process up.
  void once_a_day(util::TimePoint now);
  void at_the_end(util::TimePoint now);

  struct Counts {
    int on_their_own = 0;  // instants with a run of their own
    int joined = 0;        // dealt with together with a later one, or left out
    int skipped = 0;       // of those on their own: overlapped with a run
    int waited = 0;        // for a window
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Interval {
    util::TimePoint from;
    util::TimePoint to;
  };
  struct Watched {
    catalog::Schedule record;
    schedule::Timing timing;
    bool fixed = false;
    std::vector<util::TimePoint> instants = {};  // of a fixed time, one per local day
    std::size_t next = 0;                        // the first instant that is not dealt with
    std::size_t number = 0;                      // in dues_
    util::TimePoint mark{};
    bool is_paused = false;
    util::TimePoint waits_until = util::TimePoint::min();  // as was decided when it came due
    std::vector<Interval> kept = {};
  };

  void moved(Watched& watched, util::TimePoint mark, bool with_run);
  void check_excuse(const Watched& watched, util::TimePoint instant) const;
  void check_late(Watched& watched, job::Scheduler& scheduler, util::TimePoint now);
  void set_next(Watched& watched);
  bool may_start(const Watched& watched, util::TimePoint time) const;
  [[noreturn]] void fail(const Watched& watched, const std::string& what) const;

  catalog::Catalog& catalog_;
  const util::TimePoint begin_;
  const util::TimePoint end_;
  util::TimePoint now_;
  std::map<std::string, Watched> watched_;
  // When the next instant of each is due, side by side, because every step looks at all of them.
  std::vector<util::TimePoint> dues_;
  std::vector<Watched*> by_number_;
  std::vector<Interval> kept_;
  std::map<std::string, util::SteadyPoint> free_since_;  // by job
  Counts counts_;
};

}  // namespace dbbackup::simulation
