#include "schedule/due.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "schedule/backoff.hpp"
#include "support/manual_clock.hpp"

namespace dbbackup::schedule {
namespace {

using namespace std::chrono_literals;
using util::Milliseconds;

util::TimePoint at(std::string_view text) {
  const auto time = util::parse_time(text);
  REQUIRE(time);
  return *time;
}

Timing timing(std::string_view expression, CatchUp catch_up = CatchUp::once,
              Milliseconds jitter = 0ms) {
  return {CronExpression::parse(expression), TimeZone::load("UTC"), at("2026-01-01T00:00:30Z"),
          jitter, catch_up};
}

TEST_CASE("schedule: nothing is due before the first fire", "[schedule]") {
  const Timing daily = timing("30 2 * * *");
  const Decision decision = decide(daily, daily.created_at, at("2026-01-01T02:29:59.999Z"));
  CHECK_FALSE(decision.run);
  CHECK(decision.missed == 0);
  CHECK(decision.handled == daily.created_at);
  CHECK(decision.next->at == at("2026-01-01T02:30:00Z"));
  CHECK(decision.wake_at == at("2026-01-01T02:30:00Z"));
  CHECK(decision.clock_behind == 0ms);
}

TEST_CASE("schedule: a fire is due from its instant on and only once", "[schedule]") {
  const Timing daily = timing("30 2 * * *");
  const Decision due = decide(daily, daily.created_at, at("2026-01-01T02:30:00Z"));
  REQUIRE(due.run);
  CHECK(due.run->at == at("2026-01-01T02:30:00Z"));
  CHECK(due.missed == 0);
  CHECK(due.handled == due.run->at);
  CHECK(due.next->at == at("2026-01-02T02:30:00Z"));
  const Decision again = decide(daily, due.handled, at("2026-01-01T02:30:00Z"));
  CHECK_FALSE(again.run);
  CHECK(again.next->at == at("2026-01-02T02:30:00Z"));
}

TEST_CASE("schedule: after a pause, once runs the newest and counts the others", "[schedule]") {
  const Timing daily = timing("30 2 * * *");
  const Decision due = decide(daily, at("2026-01-03T02:30:00Z"), at("2026-01-07T12:00:00Z"));
  REQUIRE(due.run);
  CHECK(due.run->at == at("2026-01-07T02:30:00Z"));
  CHECK(due.missed == 3);
  CHECK(due.next->at == at("2026-01-08T02:30:00Z"));
}

TEST_CASE("schedule: after a pause, skip runs only what is on time", "[schedule]") {
  const Timing daily = timing("30 2 * * *", CatchUp::skip);
  const Decision late = decide(daily, at("2026-01-03T02:30:00Z"), at("2026-01-07T12:00:00Z"));
  CHECK_FALSE(late.run);
  CHECK(late.missed == 4);
  CHECK(late.handled == at("2026-01-07T02:30:00Z"));
  CHECK(late.next->at == at("2026-01-08T02:30:00Z"));

  const Decision punctual = decide(daily, at("2026-01-03T02:30:00Z"), at("2026-01-07T02:31:00Z"));
  REQUIRE(punctual.run);
  CHECK(punctual.missed == 3);
  CHECK_FALSE(decide(daily, at("2026-01-03T02:30:00Z"), at("2026-01-07T02:31:00.001Z")).run);
}

TEST_CASE("schedule: a year of missed minutes is found at once", "[schedule]") {
  const Timing busy = timing("* * * * *");
  const Decision due = decide(busy, busy.created_at, at("2027-01-01T00:00:30Z"));
  REQUIRE(due.run);
  CHECK(due.run->at == at("2027-01-01T00:00:00Z"));
  CHECK(due.missed == kMostCounted - 1);
  const Timing often = timing("@every 1s");
  CHECK(decide(often, often.created_at, at("2036-01-01")).run->at == at("2036-01-01"));
}

TEST_CASE("schedule: a clock that goes back runs nothing twice", "[schedule]") {
  const Timing hourly = timing("0 * * * *");
  test::ManualClock clock(at("2026-05-01T11:59:00Z"));
  util::TimePoint handled = at("2026-05-01T11:00:00Z");
  std::multiset<util::TimePoint> ran;
  Milliseconds furthest_behind{0};
  const auto tick_for = [&](std::chrono::minutes span) {
    for (auto passed = 0min; passed < span; passed += 1min) {
      clock.advance(1min);
      const Decision decision = decide(hourly, handled, clock.now());
      REQUIRE(decision.handled >= handled);
      handled = decision.handled;
      furthest_behind = std::max(furthest_behind, decision.clock_behind);
      if (decision.run) ran.insert(decision.run->at);
    }
  };
  tick_for(130min);  // 12:00, 13:00, 14:00
  CHECK(ran.size() == 3);
  clock.set(at("2026-05-01T11:30:00Z"));
  tick_for(60min);
  CHECK(ran.size() == 3);
  CHECK(furthest_behind == 149min);
  tick_for(180min);  // on to 15:30: only 15:00 is new
  CHECK(ran.size() == 4);
  // Forward by a day: one run stands for all.
  clock.set(at("2026-05-02T15:30:00Z"));
  tick_for(1min);
  CHECK(ran.size() == 5);
  for (const auto& instant : ran) CHECK(ran.count(instant) == 1);
}

TEST_CASE("schedule: the overlap of daylight saving makes one run", "[schedule]") {
  Timing nightly = timing("30 2 * * *");
  nightly.zone = TimeZone::load("Europe/Berlin");
  const Decision first = decide(nightly, at("2026-10-24T12:00:00Z"), at("2026-10-25T00:30:00Z"));
  REQUIRE(first.run);
  const Decision second = decide(nightly, first.handled, at("2026-10-25T01:30:00Z"));
  CHECK_FALSE(second.run);
  CHECK(second.next->at == at("2026-10-26T01:30:00Z"));
}

TEST_CASE("schedule: jitter delays the run, not the scheduled instant", "[schedule]") {
  const Timing daily = timing("30 2 * * *", CatchUp::skip, 10min);
  const Decision early = decide(daily, daily.created_at, at("2026-01-01T02:39:59.999Z"));
  CHECK_FALSE(early.run);
  CHECK(early.next->at == at("2026-01-01T02:30:00Z"));
  CHECK(early.wake_at == at("2026-01-01T02:40:00Z"));
  const Decision due = decide(daily, daily.created_at, at("2026-01-01T02:40:00Z"));
  REQUIRE(due.run);
  CHECK(due.run->at == at("2026-01-01T02:30:00Z"));
  CHECK(due.next->at == at("2026-01-02T02:30:00Z"));
  CHECK(due.clock_behind == 0ms);
  // Jitter longer than the interval only shifts everything.
  const Timing busy = timing("* * * * *", CatchUp::once, 5min);
  const Decision shifted = decide(busy, at("2026-01-01T01:00:00Z"), at("2026-01-01T01:06:00Z"));
  REQUIRE(shifted.run);
  CHECK(shifted.run->at == at("2026-01-01T01:01:00Z"));
  CHECK(shifted.next->at == at("2026-01-01T01:02:00Z"));
}

TEST_CASE("schedule: @every catches up on its own grid", "[schedule]") {
  const Timing every = timing("@every 90m");
  const Decision due = decide(every, every.created_at, at("2026-01-01T05:00:00Z"));
  REQUIRE(due.run);
  CHECK(due.run->at == at("2026-01-01T04:30:30Z"));
  CHECK(due.missed == 2);
  CHECK(due.next->at == at("2026-01-01T06:00:30Z"));
}

TEST_CASE("schedule: jitter is stable and spread out", "[schedule]") {
  CHECK(stable_jitter("01jd0000000000000000000000", 5min) ==
        stable_jitter("01jd0000000000000000000000", 5min));
  // Fixed for ever: an upgrade must not move everybody's runs.
  CHECK(stable_jitter("01jd0000000000000000000000", 5min) == 223496ms);
  CHECK(stable_jitter("x", 0ms) == 0ms);
  CHECK(stable_jitter("x", -1ms) == 0ms);
  CHECK(stable_jitter("x", 1ms) == 0ms);
  std::map<std::int64_t, int> per_tenth;
  for (int i = 0; i < 1000; ++i) {
    const Milliseconds delay = stable_jitter("01jd000000000000000000" + std::to_string(i), 10s);
    REQUIRE(delay >= 0ms);
    REQUIRE(delay < 10s);
    ++per_tenth[delay.count() / 1000];
  }
  for (std::int64_t tenth = 0; tenth < 10; ++tenth) {
    CAPTURE(tenth);
    CHECK(per_tenth[tenth] > 60);
    CHECK(per_tenth[tenth] < 140);
  }
}

TEST_CASE("schedule: back-off doubles up to its cap", "[schedule]") {
  CHECK(backoff_delay(1, 1s, 60s, 1.0) == 1s);
  CHECK(backoff_delay(2, 1s, 60s, 1.0) == 2s);
  CHECK(backoff_delay(5, 1s, 60s, 1.0) == 16s);
  CHECK(backoff_delay(7, 1s, 60s, 1.0) == 60s);
  CHECK(backoff_delay(1000000000, 1s, 60s, 1.0) == 60s);
  CHECK(backoff_delay(3, 1s, 60s, 0.0) == 2s);
  CHECK(backoff_delay(3, 1s, 60s, 0.5) == 3s);
  CHECK(backoff_delay(0, 1s, 60s, 1.0) == 1s);
  CHECK(backoff_delay(1, 90s, 60s, 1.0) == 60s);
  CHECK(backoff_delay(9, 0s, 60s, 1.0) == 0s);
  CHECK(backoff_delay(2000000000, 1ms, Milliseconds::max(), 0.0) == Milliseconds::max() / 2);
}

TEST_CASE("schedule: a fire outside the windows waits, and later ones join it", "[schedule]") {
  Timing hourly = timing("0 * * * *");
  hourly.windows = {Window::parse("20:00-22:00")};
  const util::TimePoint mark = at("2026-01-01T10:00:00Z");
  const Decision closed = decide(hourly, mark, at("2026-01-01T13:30:00Z"));
  CHECK_FALSE(closed.run);
  REQUIRE(closed.waiting);
  CHECK(closed.waiting->at == at("2026-01-01T13:00:00Z"));
  CHECK(closed.handled == mark);
  CHECK(closed.wake_at == at("2026-01-01T20:00:00Z"));
  CHECK(closed.starts_at == closed.wake_at);
  const Decision open = decide(hourly, mark, at("2026-01-01T20:00:00Z"));
  REQUIRE(open.run);
  CHECK(open.run->at == at("2026-01-01T20:00:00Z"));
  CHECK(open.missed == 9);
  CHECK(open.wake_at == at("2026-01-01T21:00:00Z"));
  CHECK(open.starts_at == at("2026-01-01T21:00:00Z"));
  const Decision last = decide(hourly, open.handled, at("2026-01-01T21:00:00Z"));
  CHECK(last.wake_at == at("2026-01-01T22:00:00Z"));
  CHECK(last.starts_at == at("2026-01-02T20:00:00Z"));
}

TEST_CASE("schedule: who waited for a window is on time when it opens, and late afterwards",
          "[schedule]") {
  Timing daily = timing("0 12 * * *", CatchUp::skip);
  daily.windows = {Window::parse("20:00-22:00")};
  const util::TimePoint mark = at("2026-01-01T12:00:00Z");
  CHECK(decide(daily, mark, at("2026-01-02T12:05:00Z")).waiting);
  CHECK(decide(daily, mark, at("2026-01-02T20:01:00Z")).run);
  const Decision late = decide(daily, mark, at("2026-01-02T20:01:00.001Z"));
  CHECK_FALSE(late.run);
  CHECK_FALSE(late.waiting);
  CHECK(late.missed == 1);
  CHECK(late.handled == at("2026-01-02T12:00:00Z"));
}

TEST_CASE("schedule: how long runs take is what nine of ten did not exceed", "[schedule]") {
  CHECK(likely_duration({}) == 0ms);
  std::vector<Milliseconds> durations{7s};
  CHECK(likely_duration(durations) == 7s);
  durations = {1s, 2s, 3s, 4s, 5s, 6s, 7s, 8s, 9s, 100s};
  CHECK(likely_duration(durations) == 9s);
  std::reverse(durations.begin(), durations.end());
  CHECK(likely_duration(durations) == 9s);
}

}  // namespace
}  // namespace dbbackup::schedule
