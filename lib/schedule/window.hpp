// Hours of the day in which work may start, "22:00-06:00", read on the clocks of a time zone.
//
// A window is about what the clock shows: one inside the gap of a change to daylight saving does
// not open on that day, one inside the overlap opens twice.
//
// Threads: values and pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

#include "schedule/zone.hpp"
#include "util/time.hpp"

namespace dbbackup::schedule {

class Window {
 public:
  // "HH:MM-HH:MM", the end not included; over midnight when it ends before it begins; 24:00 may be
  // an end. Errors: usage.
  static Window parse(std::string_view text);

  bool contains(std::chrono::minutes time_of_day) const;
  std::chrono::minutes begin() const { return begin_; }

 private:
  Window(std::chrono::minutes begin, std::chrono::minutes end) : begin_(begin), end_(end) {}

  std::chrono::minutes begin_;
  std::chrono::minutes end_;
};

// No windows at all means any time.
bool inside(util::TimePoint time, const TimeZone& zone, std::span<const Window> windows);

// The earliest instant at or after `time` that is inside a window; `time` itself when it is. Empty
// only when there is none before the year 10000.
std::optional<util::TimePoint> next_open(util::TimePoint time, const TimeZone& zone,
                                         std::span<const Window> windows);

}  // namespace dbbackup::schedule
