#include "schedule/window.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::schedule {

using std::chrono::floor;
using util::TimePoint;

namespace {

using Days = std::chrono::days;
using Hours = std::chrono::hours;
using Minutes = std::chrono::minutes;

constexpr TimePoint kEndOfTime = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);

// "HH:MM" up to and including 24:00
std::optional<Minutes> parse_clock(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!is_digit(text[0]) || !is_digit(text[1]) || !is_digit(text[3]) || !is_digit(text[4])) {
    return std::nullopt;
  }
  const Hours hours((text[0] - '0') * 10 + (text[1] - '0'));
  const Minutes minutes((text[3] - '0') * 10 + (text[4] - '0'));
  if (minutes >= Hours(1) || hours + minutes > Days(1)) return std::nullopt;
  return hours + minutes;
}

Minutes time_of_day(LocalSeconds local) { return floor<Minutes>(local - floor<Days>(local)); }

bool any_contains(std::span<const Window> windows, Minutes time_of_day) {
  return std::any_of(windows.begin(), windows.end(),
                     [&](const Window& window) { return window.contains(time_of_day); });
}

// The earliest moment at or after `from` at which some window is open, on a clock that nobody
// changes.
LocalSeconds next_open_local(LocalSeconds from, std::span<const Window> windows) {
  const auto today = floor<Days>(from);
  if (any_contains(windows, time_of_day(from))) return from;
  LocalSeconds earliest = LocalSeconds::max();
  for (const Window& window : windows) {
    const LocalSeconds opening = today + window.begin();
    earliest = std::min(earliest, opening >= from ? opening : opening + Days(1));
  }
  return earliest;
}

// How long windows stay open from this moment on, on a clock that nobody changes; empty for ever.
std::optional<Minutes> open_for(Minutes from, std::span<const Window> windows) {
  Minutes total(0);
  while (total < Days(1)) {
    const Minutes now = (from + total) % Minutes(Days(1));
    Minutes left(0);
    for (const Window& window : windows) {
      if (window.contains(now)) left = std::max(left, window.left_at(now));
    }
    if (left == Minutes(0)) return total;
    total += left;
  }
  return std::nullopt;
}

}  // namespace

Window Window::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  std::optional<Minutes> begin;
  std::optional<Minutes> end;
  if (dash != std::string_view::npos) {
    begin = parse_clock(text.substr(0, dash));
    end = parse_clock(text.substr(dash + 1));
  }
  if (!begin || !end || *begin == Days(1)) {
    throw util::Error(util::ErrorCode::usage,
                      util::cat("'", util::printable(text), "' is not a window"),
                      "write HH:MM-HH:MM, for example 22:00-06:00");
  }
  if (*begin == *end) {
    throw util::Error(util::ErrorCode::usage, util::cat("window '", text, "' ends where it begins"),
                      "leave the window out, or write 00:00-24:00, for the whole day");
  }
  return Window(*begin, *end);
}

bool Window::contains(Minutes time_of_day) const {
  if (begin_ < end_) return begin_ <= time_of_day && time_of_day < end_;
  return begin_ <= time_of_day || time_of_day < end_;
}

Minutes Window::left_at(Minutes time_of_day) const {
  const bool ends_tomorrow = begin_ > end_ && time_of_day >= begin_;
  return (ends_tomorrow ? end_ + Days(1) : end_) - time_of_day;
}

bool inside(TimePoint time, const TimeZone& zone, std::span<const Window> windows) {
  return windows.empty() || any_contains(windows, time_of_day(zone.period_at(time).to_local(time)));
}

std::optional<TimePoint> next_open(TimePoint time, const TimeZone& zone,
                                   std::span<const Window> windows) {
  while (time < kEndOfTime) {
    if (inside(time, zone, windows)) return time;
    const TimeZone::Period period = zone.period_at(time);
    const TimePoint opening = period.to_utc(next_open_local(period.to_local(time), windows));
    if (opening < period.end) return opening;
    time = period.end;
  }
  return std::nullopt;
}

std::optional<TimePoint> open_until(TimePoint time, const TimeZone& zone,
                                    std::span<const Window> windows) {
  while (time < kEndOfTime && inside(time, zone, windows)) {
    const TimeZone::Period period = zone.period_at(time);
    const LocalSeconds minute = floor<Minutes>(period.to_local(time));
    const auto left = open_for(time_of_day(minute), windows);
    if (!left) return std::nullopt;
    const TimePoint closing = period.to_utc(minute + *left);
    if (closing <= period.end) return closing;
    time = period.end;  // the clocks are changed meanwhile: look again at what they then show
  }
  return time;
}

std::optional<util::Milliseconds> longest_open(std::span<const Window> windows) {
  Minutes longest(0);
  for (const Window& window : windows) {
    const auto stretch = open_for(window.begin(), windows);
    if (!stretch) return std::nullopt;
    longest = std::max(longest, *stretch);
  }
  return longest;
}

std::optional<TimePoint> next_start(TimePoint time, const TimeZone& zone,
                                    std::span<const Window> windows, util::Milliseconds expected) {
  if (windows.empty()) return time;
  const auto longest = longest_open(windows);
  const bool fits_somewhere = !longest || expected <= *longest;
  auto start = next_open(time, zone, windows);
  while (start && fits_somewhere) {
    const auto closing = open_until(*start, zone, windows);
    if (!closing || *start + expected <= *closing) break;
    start = next_open(*closing, zone, windows);
  }
  return start;
}

}  // namespace dbbackup::schedule
