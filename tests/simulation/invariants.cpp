#include "simulation/invariants.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::simulation {

using std::chrono::floor;
using util::cat;
using util::format_rfc3339;
using util::TimePoint;

namespace {
using Days = std::chrono::days;

// The timer looks at least once a minute; what falls into the minute in which something happened to
// it is excused.
constexpr util::Milliseconds kMargin = std::chrono::minutes(2);

util::Seconds offset_at(const schedule::TimeZone& zone, std::chrono::sys_seconds time) {
  return zone.period_at(time).offset;
}

// When the clocks of a zone show this for the first time; the end of the gap when they never do.
TimePoint instant_of(const schedule::TimeZone& zone, std::chrono::sys_days day,
                     util::Seconds time_of_day) {
  const std::chrono::sys_seconds shown = day + time_of_day;
  const util::Seconds before = offset_at(zone, shown - Days(1));
  const util::Seconds after = offset_at(zone, shown + Days(1));
  std::optional<std::chrono::sys_seconds> found;
  for (const util::Seconds offset : {before, after}) {
    const auto candidate = shown - offset;
    if (offset_at(zone, candidate) != offset) continue;
    if (!found || candidate < *found) found = candidate;
  }
  if (found) return *found;
  return zone.period_at(shown - before).begin;
}

bool names(const FixedTime& fixed, std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  if (fixed.weekday >= 0) {
    return std::chrono::weekday(day).c_encoding() == static_cast<unsigned>(fixed.weekday);
  }
  return fixed.day < 0 || static_cast<unsigned>(date.day()) == static_cast<unsigned>(fixed.day);
}
}  // namespace

Invariants::Invariants(catalog::Catalog& catalog, TimePoint begin, TimePoint end)
    : catalog_(catalog), begin_(begin), end_(end), now_(begin) {}

void Invariants::fail(const Watched& watched, const std::string& what) const {
  throw Violation(cat(format_rfc3339(now_), " schedule ", watched.record.name, " '",
                      watched.record.cron, "' ", watched.record.timezone, ": ", what));
}

void Invariants::watch(const catalog::Schedule& record, const std::optional<FixedTime>& fixed) {
  Watched watched{.record = record, .timing = job::make_timing(record), .fixed = fixed.has_value()};
  watched.mark = record.created;
  if (fixed) {
    const auto time = std::chrono::hours(fixed->hour) + std::chrono::minutes(fixed->minute);
    for (auto day = floor<Days>(begin_) - Days(2); day < end_ + Days(30); day += Days(1)) {
      if (!names(*fixed, day)) continue;
      const TimePoint instant = instant_of(watched.timing.zone, day, time);
      if (instant > record.created) watched.instants.push_back(instant);
    }
  }
  watched.number = dues_.size();
  dues_.emplace_back();
  set_next(watched);
  by_number_.push_back(&watched_.emplace(record.name, std::move(watched)).first->second);
}

void Invariants::kept_from_all(TimePoint from, TimePoint to) {
  kept_.push_back({from - kMargin, to + kMargin});
}

void Invariants::kept_from(const std::string& schedule, TimePoint from, TimePoint to) {
  Watched& watched = watched_.at(schedule);
  watched.kept.push_back({from - kMargin, to + kMargin});
  // Resuming moves the mark to that moment, forward or back.
  for (; watched.next < watched.instants.size() && watched.instants[watched.next] <= to;
       ++watched.next) {
    ++counts_.joined;
  }
  watched.mark = to;
  set_next(watched);
}

void Invariants::paused(const std::string& schedule, bool is_paused) {
  watched_.at(schedule).is_paused = is_paused;
}

void Invariants::planned_anew() {
  for (auto& [name, watched] : watched_) watched.waits_until = TimePoint::min();
}

void Invariants::crashed(util::SteadyPoint at) {
  for (auto& [job, since] : free_since_) since = std::max(since, at);
  planned_anew();
}

void Invariants::set_next(Watched& watched) {
  watched.waits_until = TimePoint::min();
  dues_[watched.number] = watched.next < watched.instants.size()
                              ? watched.instants[watched.next] + watched.timing.jitter
                              : TimePoint::max();
}

bool Invariants::may_start(const Watched& watched, TimePoint time) const {
  if (watched.record.windows.empty()) return true;
  const auto shown = time + offset_at(watched.timing.zone, floor<util::Seconds>(time));
  const auto minute = floor<std::chrono::minutes>(shown - floor<Days>(shown));
  return std::any_of(watched.timing.windows.begin(), watched.timing.windows.end(),
                     [&](const auto& window) { return window.contains(minute); });
}

// An instant without a run of its own needs a reason.
void Invariants::check_excuse(const Watched& watched, TimePoint instant) const {
  const TimePoint due = instant + watched.timing.jitter;
  const auto covers = [&](const Interval& interval) {
    return interval.from <= due && due <= interval.to;
  };
  if (std::any_of(kept_.begin(), kept_.end(), covers)) return;
  if (std::any_of(watched.kept.begin(), watched.kept.end(), covers)) return;
  if (!watched.record.windows.empty()) return;  // it waited, and looked() checked that it had to
  fail(watched, cat(format_rfc3339(instant), " got no run, and nothing kept the timer from it"));
}

void Invariants::moved(Watched& watched, TimePoint mark, bool with_run) {
  if (mark <= watched.mark) {
    fail(watched,
         cat("dealt with ", format_rfc3339(mark), " after ", format_rfc3339(watched.mark)));
  }
  watched.mark = mark;
  if (!watched.fixed) return;
  for (; watched.next < watched.instants.size() && watched.instants[watched.next] < mark;
       ++watched.next) {
    check_excuse(watched, watched.instants[watched.next]);
    ++counts_.joined;
  }
  if (watched.next >= watched.instants.size() || watched.instants[watched.next] != mark) {
    fail(watched, cat("fired for ", format_rfc3339(mark), ", which it does not name"));
  }
  if (with_run) {
    ++counts_.on_their_own;
  } else {
    check_excuse(watched, mark);
    ++counts_.joined;
  }
  ++watched.next;
  set_next(watched);
}

void Invariants::check_late(Watched& watched, job::Scheduler& scheduler, TimePoint now) {
  if (now < watched.waits_until) return;
  const auto record = catalog_.schedule(watched.record.name);
  if (record.handled_until && *record.handled_until > watched.mark) {
    // No run: it came too late for `--catch-up skip`.
    if (record.catch_up) fail(watched, "left out although it is to be caught up");
    return moved(watched, *record.handled_until, false);
  }
  const auto start = schedule::next_start(now, watched.timing.zone, watched.timing.windows,
                                          scheduler.expected_duration(watched.record));
  if (start > now) {
    watched.waits_until = start.value();
    ++counts_.waited;
    return;
  }
  fail(watched,
       cat("due since ", format_rfc3339(dues_[watched.number]), " and not started; its mark is ",
           format_rfc3339(record.handled_until.value_or(record.created)), ", windows ",
           util::join(record.windows, " "), "; it says: ", scheduler.why_waiting(record)));
}

void Invariants::looked(job::Scheduler& scheduler, const std::vector<job::Run>& runs,
                        TimePoint now) {
  now_ = now;
  for (const job::Run& run : runs) {
    Watched& watched = watched_.at(run.schedule);
    if (watched.is_paused) fail(watched, "fired while it was paused");
    if (run.state == job::RunState::skipped) ++counts_.skipped;
    moved(watched, catalog_.schedule(run.schedule).handled_until.value(), true);
  }
  for (std::size_t number = 0; number < dues_.size(); ++number) {
    if (dues_[number] > now || by_number_[number]->is_paused) continue;
    check_late(*by_number_[number], scheduler, now);
  }
}

void Invariants::ran(const job::Run& run, TimePoint begun, util::SteadyPoint begun_steady,
                     util::SteadyPoint ended) {
  const Watched& watched = watched_.at(run.schedule);
  util::SteadyPoint& free_since = free_since_[run.job];
  if (begun_steady < free_since) {
    fail(watched, cat("run ", run.id, " of job ", run.job, " began before the one before ended"));
  }
  free_since = ended;
  if (!may_start(watched, begun)) {
    fail(watched,
         cat("run ", run.id, " started at ", format_rfc3339(begun), ", outside its windows"));
  }
}

void Invariants::once_a_day(TimePoint now) {
  now_ = now;
  // Intervals long past excuse nothing any more.
  std::erase_if(kept_, [&](const Interval& one) { return one.to < now - Days(60); });
}

void Invariants::at_the_end(TimePoint now) {
  now_ = now;
  for (const auto& [name, watched] : watched_) {
    if (!watched.fixed) continue;  // what `--catch-up skip` left out of it is not followed
    if (catalog_.schedule(name).handled_until.value_or(watched.mark) > watched.mark) {
      fail(watched, "its mark moved unseen");
    }
  }
}

}  // namespace dbbackup::simulation
