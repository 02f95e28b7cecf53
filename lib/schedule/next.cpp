#include "schedule/next.hpp"

#include <algorithm>
#include <cstdio>

#include "util/text.hpp"

// The walk below goes from one period of constant offset to the next. Inside a period the local
// clock runs steadily, so that finding the next matching minute is CronFields::first_match() on an
// interval of local time. What daylight saving adds happens only where a period begins, and is told
// by the two offsets that meet there:
//
//   later > earlier   gap: the clock jumps from begin + earlier to begin + later
//   later < earlier   overlap: the clock shows [begin + later, begin + earlier) for the second time
//
// A fixed time of day therefore fires at the period's begin when a match lies in the gap, and the
// search inside the period starts behind the overlap. A schedule that follows the clock needs
// neither.

namespace dbbackup::schedule {

using std::chrono::floor;
using std::chrono::local_days;
using util::cat;
using util::TimePoint;

namespace {

using Days = std::chrono::days;
using Minutes = std::chrono::minutes;

// A day inside the years 0 to 9999, so that local times have four-digit years too.
constexpr TimePoint kFirstTime = std::chrono::sys_days(std::chrono::year(0) / 1 / 2);
constexpr TimePoint kEndOfTime = std::chrono::sys_days(std::chrono::year(9999) / 12 / 31);
// Clocks have been set back by up to a day (Source: tz database, America/Juneau 1867).
constexpr util::Seconds kLongestOverlap = std::chrono::hours(25);

std::string show_clock(LocalSeconds local) {
  const auto minute = std::chrono::duration_cast<Minutes>(local - floor<Days>(local)).count();
  char text[16];
  std::snprintf(text, sizeof text, "%02d:%02d", static_cast<int>(minute / 60),
                static_cast<int>(minute % 60));
  return text;
}

// The first time the expression names in the gap [from, to), leaving out days that the gap swallows
// whole.
std::optional<LocalSeconds> first_skipped(const CronFields& fields, LocalSeconds from,
                                          LocalSeconds to) {
  while (const auto match = fields.first_match(from, to)) {
    const local_days day = floor<Days>(*match);
    const bool day_exists = day < from || day + Days(1) > to;
    if (day_exists) return match;
    from = day + Days(1);
  }
  return std::nullopt;
}

class CalendarWalk {
 public:
  CalendarWalk(const CronFields& fields, const TimeZone& zone, TimePoint after)
      : fields_(fields), zone_(zone), after_(after), period_(zone.period_at(after)) {
    const bool first_period = period_.begin < kFirstTime;
    before_ = first_period ? period_ : zone.period_at(period_.begin - util::Seconds(1));
  }

  std::optional<Fire> next() {
    while (true) {
      if (const auto fire = fire_for_gap()) return fire;
      if (const auto fire = fire_in_period()) return fire;
      if (period_.end >= kEndOfTime) return std::nullopt;
      enter_next_period();
    }
  }

 private:
  void enter_next_period() {
    before_ = period_;
    period_ = zone_.period_at(period_.end);
  }

  // Where the clock of the period before would stand, and where the new one does, when the period
  // begins.
  LocalSeconds old_clock() const { return before_.to_local(period_.begin); }
  LocalSeconds new_clock() const { return period_.to_local(period_.begin); }

  std::optional<Fire> fire_for_gap() const {
    if (fields_.follows_clock || period_.begin <= after_) return std::nullopt;
    const auto skipped = first_skipped(fields_, old_clock(), new_clock());
    if (!skipped) return std::nullopt;
    const bool named_itself =
        fields_.first_match(new_clock(), new_clock() + util::Seconds(1)).has_value();
    return fire_at(period_.begin, cat(named_itself ? "also for " : "moved: ", show_clock(*skipped),
                                      named_itself ? ", which" : "",
                                      " does not exist on this day (clocks go forward)"));
  }

  std::optional<Fire> fire_in_period() const {
    LocalSeconds from = new_clock();
    if (period_.begin <= after_) {
      from = floor<Minutes>(period_.to_local(after_)) + Minutes(1);
    }
    if (!fields_.follows_clock) from = std::max(from, old_clock());
    const LocalSeconds to = period_.to_local(std::min(period_.end, kEndOfTime));
    const auto local = fields_.first_match(from, to);
    if (!local) return std::nullopt;
    return fire_at(period_.to_utc(*local), overlap_reason(*local));
  }

  std::string overlap_reason(LocalSeconds local) const {
    if (local < old_clock()) return cat("second of two ", show_clock(local), " (clocks go back)");
    const TimePoint end = period_.end;
    if (end < kEndOfTime && end - period_.to_utc(local) < kLongestOverlap &&
        local >= zone_.period_at(end).to_local(end)) {
      return cat("first of two ", show_clock(local), " (clocks go back)");
    }
    return {};
  }

  Fire fire_at(TimePoint at, std::string reason) const {
    return {at, zone_.format_local(at), std::move(reason)};
  }

  const CronFields& fields_;
  const TimeZone& zone_;
  const TimePoint after_;
  TimeZone::Period period_;
  TimeZone::Period before_;
};

std::optional<Fire> next_interval(util::Milliseconds interval, TimePoint after, TimePoint anchor,
                                  const TimeZone& zone) {
  const auto passed = after < anchor ? 0 : (after - anchor) / interval;
  const TimePoint at = anchor + (passed + 1) * interval;
  if (at >= kEndOfTime) return std::nullopt;
  return Fire{at, zone.format_local(at), {}};
}

}  // namespace

std::optional<Fire> next_after(const CronExpression& expression, TimePoint time,
                               const TimeZone& zone, TimePoint anchor) {
  if (time >= kEndOfTime) return std::nullopt;
  const TimePoint after = std::max(time, kFirstTime);
  if (const auto interval = expression.interval()) {
    return next_interval(*interval, after, std::max(anchor, kFirstTime), zone);
  }
  return CalendarWalk(expression.fields(), zone, after).next();
}

}  // namespace dbbackup::schedule
