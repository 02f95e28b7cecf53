#include "schedule/cron_fields.hpp"

#include <bit>

namespace dbbackup::schedule {

using std::chrono::local_days;

namespace {

using Minutes = std::chrono::minutes;
using Hours = std::chrono::hours;
using Days = std::chrono::days;

// The lowest member of `set` that is at least `least`.
std::optional<unsigned> next_member(std::uint64_t set, unsigned least) {
  if (least > 63) return std::nullopt;
  const std::uint64_t rest = set & (~std::uint64_t{0} << least);
  if (rest == 0) return std::nullopt;
  return static_cast<unsigned>(std::countr_zero(rest));
}

// The first matching time of day at or after `least`.
std::optional<Minutes> next_time_of_day(const CronFields& fields, Minutes least) {
  const auto hour = static_cast<unsigned>(least / Hours(1));
  const auto minute = static_cast<unsigned>((least % Hours(1)).count());
  if (next_member(fields.hours, hour) == hour) {
    if (const auto later = next_member(fields.minutes, minute))
      return Hours(hour) + Minutes(*later);
  }
  const auto later_hour = next_member(fields.hours, hour + 1);
  const auto first_minute = next_member(fields.minutes, 0);
  if (!later_hour || !first_minute) return std::nullopt;
  return Hours(*later_hour) + Minutes(*first_minute);
}

// The first matching day at or after `least` and before `end`.
std::optional<local_days> next_day(const CronFields& fields, local_days least, local_days end) {
  const std::chrono::year_month_day date(least);
  std::chrono::year_month month = date.year() / date.month();
  auto first = static_cast<unsigned>(date.day());
  while (local_days(month / 1) < end) {
    if (const auto day = next_member(fields.matching_days(month), first)) {
      const local_days found(month / static_cast<int>(*day));
      return found < end ? std::optional(found) : std::nullopt;
    }
    month += std::chrono::months(1);
    first = 1;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t CronFields::matching_days(std::chrono::year_month month) const {
  if (((months >> static_cast<unsigned>(month.month())) & 1U) == 0) return 0;
  const auto length = static_cast<unsigned>((month / std::chrono::last).day());
  const unsigned first_weekday = std::chrono::weekday(local_days(month / 1)).c_encoding();

  const std::uint64_t whole_month = (std::uint64_t{2} << length) - 2;
  std::uint64_t by_day = days & whole_month;
  if (last_day) by_day |= std::uint64_t{1} << length;
  std::uint64_t by_weekday = 0;
  for (unsigned day = 1; day <= length; ++day) {
    const unsigned weekday = (first_weekday + day - 1) % 7;
    const bool listed = ((weekdays >> weekday) & 1U) != 0;
    const bool nth = ((nth_weekdays[weekday] >> ((day - 1) / 7)) & 1U) != 0;
    if (listed || nth) by_weekday |= std::uint64_t{1} << day;
  }
  return any_day || any_weekday ? by_day & by_weekday : by_day | by_weekday;
}

std::optional<LocalSeconds> CronFields::first_match(LocalSeconds from, LocalSeconds to) const {
  const auto start = std::chrono::ceil<Minutes>(from);
  const local_days last = std::chrono::ceil<Days>(to);
  local_days today = std::chrono::floor<Days>(start);
  Minutes least = start - today;
  while (const auto day = next_day(*this, today, last)) {
    if (*day != today) least = Minutes(0);
    if (const auto time = next_time_of_day(*this, least)) {
      const LocalSeconds found = *day + *time;
      return found < to ? std::optional(found) : std::nullopt;
    }
    today = *day + Days(1);
    least = Minutes(0);
  }
  return std::nullopt;
}

}  // namespace dbbackup::schedule
