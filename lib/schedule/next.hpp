// When a schedule fires next: the cron expression read against the clocks of a time zone.
//
// The daylight-saving rule (README.md beside this file has examples). Clocks that go forward skip
// some local times, the gap; clocks that go back show some twice, the overlap.
// - An expression with a fixed time of day fires once per local day for each time it names: a time
// in the gap fires at
//   the first instant after the gap (several of them together as one fire), a time in the overlap
//   at its first showing. A local day that the zone skipped altogether has no fires.
// - An expression whose hour field is a wildcard or a step fires whenever the clock shows a time it
// names: not for times
//   in the gap, twice for times in the overlap.
// - `@every` knows no clocks: it counts from an anchor.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>

#include "schedule/cron.hpp"
#include "schedule/zone.hpp"
#include "util/time.hpp"

namespace dbbackup::schedule {

struct Fire {
  util::TimePoint at;
  std::string local;   // the same instant on the zone's clocks, with offset
  std::string reason;  // why here, where the clocks were changed; mostly empty
};

// The first fire strictly after `time`; empty when it would lie beyond 9999-12-30. Times before
// 0000-01-02 count as that day's beginning. `anchor` is when the schedule was made; only `@every`
// looks at it: it fires at anchor + n x interval for n = 1, 2, ...
std::optional<Fire> next_after(const CronExpression& expression, util::TimePoint time,
                               const TimeZone& zone, util::TimePoint anchor = {});

}  // namespace dbbackup::schedule
