// The five fields of a cron expression as bit sets, and the search for the next local minute they
// name.
//
// The search jumps by field (month, day, hour, minute), never minute by minute, so that the next 29
// February or fifth Monday is found in microseconds. It knows nothing of time zones: it works on
// the readings of a wall clock.
//
// Threads: a value.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace dbbackup::schedule {

// What a wall clock shows, in whichever zone it hangs.
using LocalSeconds = std::chrono::local_seconds;

struct CronFields {
  // Bit N stands for the value N: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6 from
  // Sunday.
  std::uint64_t minutes = 0;
  std::uint64_t hours = 0;
  std::uint64_t days = 0;
  std::uint64_t months = 0;
  std::uint64_t weekdays = 0;
  // The field begins with `*`: cron(8) then wants both day fields to match instead of either.
  bool any_day = false;
  bool any_weekday = false;
  // `L`: the last day of the month.
  bool last_day = false;
  // `weekday#n`: bit n-1 at the index of the weekday.
  std::array<std::uint8_t, 7> nth_weekdays{};
  // The hour field is a wildcard or a step, so the schedule follows the clock through
  // daylight-saving changes.
  bool follows_clock = false;

  // The days of one month that match, as bits 1 to 31.
  std::uint64_t matching_days(std::chrono::year_month month) const;

  // The first matching minute in [from, to).
  std::optional<LocalSeconds> first_match(LocalSeconds from, LocalSeconds to) const;
};

}  // namespace dbbackup::schedule
