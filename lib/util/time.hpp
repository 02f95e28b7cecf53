// Time as the product sees it: UTC instants in milliseconds, an injectable clock, and their text
// forms.
//
// Nothing below `daemon/` may ask the operating system for the time by itself: it is given a Clock,
// so that tests can move through years without sleeping.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace dbbackup::util {

using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
// Wall-clock UTC with millisecond resolution.
using TimePoint = std::chrono::time_point<std::chrono::system_clock, Milliseconds>;
// For measuring durations only.
using SteadyPoint = std::chrono::steady_clock::time_point;

// Threads: implementations are safe from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual SteadyPoint steady_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  SteadyPoint steady_now() const override;
};

// Units: milliseconds since 1970-01-01T00:00:00Z.
std::int64_t to_unix_ms(TimePoint time);
TimePoint from_unix_ms(std::int64_t ms);

// RFC 3339 in UTC with milliseconds: 2026-11-21T09:33:00.000Z (Source: RFC 3339 section 5.6).
std::string format_rfc3339(TimePoint time);
// Accepts RFC 3339 with any offset, a missing time part ("2026-11-21"), a blank instead of T, and
// no offset (UTC).
std::optional<TimePoint> parse_time(std::string_view text);

// Durations as people write them: "90s", "2h30m", "7d", "1w", "500ms", "1y" (365 days). A bare
// number is refused, except "0". format_duration() gives the shortest exact form of the same
// grammar.
std::optional<Milliseconds> parse_duration(std::string_view text);
std::string format_duration(Milliseconds duration);

}  // namespace dbbackup::util
