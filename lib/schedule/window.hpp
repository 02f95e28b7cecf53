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
  // How long it stays open. Requires: contains(time_of_day)
  std::chrono::minutes left_at(std::chrono::minutes time_of_day) const;

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

// The first instant after `time` at which no window is open any more; empty when the windows leave
// no hour of the day out. Requires: inside(time, zone, windows).
std::optional<util::TimePoint> open_until(util::TimePoint time, const TimeZone& zone,
                                          std::span<const Window> windows);

// The longest stretch the windows leave open on an ordinary day, where windows that touch are one;
// empty when they leave no hour out.
std::optional<util::Milliseconds> longest_open(std::span<const Window> windows);

// The earliest instant at or after `time` at which work that is expected to take `expected` may
// start so that it ends before the windows close. Work that fits into no window may start whenever
// one is open: to put it off would help nobody, and it would never run. Empty only when there is no
// such instant before the year 10000.
std::optional<util::TimePoint> next_start(util::TimePoint time, const TimeZone& zone,
                                          std::span<const Window> windows,
                                          util::Milliseconds expected);

}  // namespace dbbackup::schedule
