// What a timer has to do about one schedule at this moment: start a run or not, and when to look
// again.
//
// The timer keeps one thing per schedule: the scheduled instant it handled last. Everything is
// decided by comparing scheduled instants with that mark, never by how much time seems to have
// passed, so that neither a restart nor a clock that is set back makes the same scheduled instant
// run twice, and a clock set forward makes at most one run.
//
// A fire that must wait for a window is simply one that is not handled yet: it needs no memory of
// its own, survives a restart, and fires that join it while it waits are one run with it.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include <vector>

#include "schedule/next.hpp"
#include "schedule/window.hpp"

namespace dbbackup::schedule {

// What happens to fires that passed while nobody watched.
enum class CatchUp {
  once,  // one run stands for all of them
  skip,  // they are left out
};

// What is fixed about a schedule.
struct Timing {
  CronExpression expression;
  TimeZone zone;
  util::TimePoint created_at;  // anchor of @every, and the first mark
  util::Milliseconds jitter{
      0};  // every fire is this much later than its scheduled instant; see stable_jitter()
  CatchUp catch_up = CatchUp::once;
  std::vector<Window> windows = {};  // a run starts only inside; none means any time
};

// A fire that is handled at most this much late is on time, whatever the catch-up policy says.
inline constexpr util::Milliseconds kOnTime = std::chrono::minutes(1);
// Missed fires are counted up to here.
inline constexpr int kMostCounted = 1000;

struct Decision {
  std::optional<Fire> run;  // the scheduled instant for which a run is to be started now
  // Due, but not to be started before `starts_at`: the windows are closed, or would close too soon.
  std::optional<Fire> waiting;
  int missed =
      0;  // scheduled instants that passed without a run of their own, at most kMostCounted
  util::TimePoint handled;   // the new mark; to be made durable before the run is started
  std::optional<Fire> next;  // the next scheduled instant
  // When to decide again: the next scheduled instant plus jitter, or the end of the waiting.
  std::optional<util::TimePoint> wake_at;
  // When the next run may start, after this one if there is one; windows and jitter included.
  std::optional<util::TimePoint> starts_at;
  // How far the clock stands behind the mark; above zero it was set back, and nothing runs until it
  // has caught up. Worth a warning when it is long: then the mark was made while the clock was
  // wrong.
  util::Milliseconds clock_behind{0};
};

// `handled` is the mark: created_at at first, afterwards Decision::handled. `expected` is how long
// a run is likely to take; only windows look at it.
Decision decide(const Timing& timing, util::TimePoint handled, util::TimePoint now,
                util::Milliseconds expected = util::Milliseconds(0));

// How long the next run will probably take, from what the last ones took: 9 of 10 were not longer.
// 0 without any.
util::Milliseconds likely_duration(std::span<const util::Milliseconds> durations);

// A delay in [0, most) that is always the same for one schedule, so that many schedules for
// midnight spread out while each of them keeps its rhythm. 0 when `most` is not positive.
util::Milliseconds stable_jitter(std::string_view schedule_id, util::Milliseconds most);

}  // namespace dbbackup::schedule
