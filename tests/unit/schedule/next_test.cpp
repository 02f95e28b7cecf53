#include "schedule/next.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace dbbackup::schedule {
namespace {

util::TimePoint at(std::string_view text) {
  const auto time = util::parse_time(text);
  REQUIRE(time);
  return *time;
}

// The local times of the first `count` fires after `from`, with their reasons behind a blank.
std::vector<std::string> fires(std::string_view expression, std::string_view zone_name,
                               std::string_view from, int count) {
  const CronExpression cron = CronExpression::parse(expression);
  const TimeZone zone = TimeZone::load(zone_name);
  std::vector<std::string> result;
  util::TimePoint time = at(from);
  for (int i = 0; i < count; ++i) {
    const auto fire = next_after(cron, time, zone);
    if (!fire) {
      result.emplace_back("none");
      break;
    }
    REQUIRE(fire->at > time);
    REQUIRE(at(fire->local) == fire->at);
    result.push_back(fire->reason.empty() ? fire->local : fire->local + " " + fire->reason);
    time = fire->at;
  }
  return result;
}

using Lines = std::vector<std::string>;

TEST_CASE("schedule: plain fires in UTC", "[schedule]") {
  CHECK(fires("30 2 * * *", "UTC", "2026-11-21T02:29:59.999Z", 2) ==
        Lines{"2026-11-21T02:30:00+00:00", "2026-11-22T02:30:00+00:00"});
  // Strictly after, to the millisecond.
  CHECK(fires("30 2 * * *", "UTC", "2026-11-21T02:30:00Z", 1) ==
        Lines{"2026-11-22T02:30:00+00:00"});
  CHECK(fires("30 2 * * *", "UTC", "2026-11-21T02:30:00.001Z", 1) ==
        Lines{"2026-11-22T02:30:00+00:00"});
  CHECK(fires("*/20 22,23 31 12 *", "UTC", "2026-12-31T23:30:00Z", 2) ==
        Lines{"2026-12-31T23:40:00+00:00", "2027-12-31T22:00:00+00:00"});
}

TEST_CASE("schedule: leap years, last days and fifth weekdays", "[schedule]") {
  CHECK(fires("0 0 29 2 *", "UTC", "2026-01-01", 3) == Lines{"2028-02-29T00:00:00+00:00",
                                                             "2032-02-29T00:00:00+00:00",
                                                             "2036-02-29T00:00:00+00:00"});
  // 2100 is no leap year.
  CHECK(fires("0 0 29 2 *", "UTC", "2096-03-01", 1) == Lines{"2104-02-29T00:00:00+00:00"});
  // Leap days that are Sundays are 28 years apart, 40 across 2100.
  CHECK(fires("0 0 29 2 */7", "UTC", "2088-03-01", 1) == Lines{"2128-02-29T00:00:00+00:00"});
  CHECK(fires("0 0 29 2 */7", "UTC", "2026-01-01", 2) ==
        Lines{"2032-02-29T00:00:00+00:00", "2060-02-29T00:00:00+00:00"});
  CHECK(
      fires("0 12 L * *", "UTC", "2028-01-31T12:00:00Z", 3) ==
      Lines{"2028-02-29T12:00:00+00:00", "2028-03-31T12:00:00+00:00", "2028-04-30T12:00:00+00:00"});
  CHECK(fires("0 0 * * mon#5", "UTC", "2026-11-01", 3) == Lines{"2026-11-30T00:00:00+00:00",
                                                                "2027-03-29T00:00:00+00:00",
                                                                "2027-05-31T00:00:00+00:00"});
  // February has five Mondays only in a leap year that begins February with one.
  CHECK(fires("0 0 * 2 mon#5", "UTC", "2026-01-01", 2) ==
        Lines{"2044-02-29T00:00:00+00:00", "2072-02-29T00:00:00+00:00"});
}

TEST_CASE("schedule: Berlin, a fixed time of day", "[schedule]") {
  CHECK(fires("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) ==
        Lines{"2026-03-29T03:00:00+02:00 moved: 02:30 does not exist on this day (clocks go "
              "forward)",
              "2026-03-30T02:30:00+02:00"});
  CHECK(fires("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) ==
        Lines{"2026-10-25T02:30:00+02:00 first of two 02:30 (clocks go back)",
              "2026-10-26T02:30:00+01:00"});
  // Asked between the two showings: the day has had its fire.
  CHECK(fires("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1) ==
        Lines{"2026-10-26T02:30:00+01:00"});
  // The edges: 02:00 is the first skipped minute, 03:00 exists.
  CHECK(fires("0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1) ==
        Lines{"2026-03-29T03:00:00+02:00 moved: 02:00 does not exist on this day (clocks go "
              "forward)"});
  CHECK(fires("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1) ==
        Lines{"2026-03-29T03:00:00+02:00"});
  CHECK(fires("59 1 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1) ==
        Lines{"2026-03-29T01:59:00+01:00"});
  CHECK(fires("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 1) ==
        Lines{"2026-10-25T03:00:00+01:00"});
  // A moved fire that meets one in its own right is one fire.
  CHECK(fires("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) ==
        Lines{"2026-03-29T03:00:00+02:00 also for 02:00, which does not exist on this day "
              "(clocks go forward)",
              "2026-03-30T02:00:00+02:00"});
}

TEST_CASE("schedule: Berlin, many minutes of a fixed hour", "[schedule]") {
  // In the gap they become one fire, in the overlap each listed minute comes once.
  CHECK(fires("*/10 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) ==
        Lines{"2026-03-29T03:00:00+02:00 moved: 02:00 does not exist on this day (clocks go "
              "forward)",
              "2026-03-30T02:00:00+02:00"});
  CHECK(fires("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 3) ==
        Lines{"2026-10-25T02:00:00+02:00 first of two 02:00 (clocks go back)",
              "2026-10-25T02:30:00+02:00 first of two 02:30 (clocks go back)",
              "2026-10-26T02:00:00+01:00"});
}

TEST_CASE("schedule: Berlin, following the clock", "[schedule]") {
  CHECK(fires("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2) ==
        Lines{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"});
  CHECK(fires("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3) ==
        Lines{"2026-10-25T02:30:00+02:00 first of two 02:30 (clocks go back)",
              "2026-10-25T02:30:00+01:00 second of two 02:30 (clocks go back)",
              "2026-10-25T03:30:00+01:00"});
  CHECK(fires("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:30:00Z", 2) ==
        Lines{"2026-03-29T00:00:00+01:00", "2026-03-29T04:00:00+02:00"});
  CHECK(fires("0 */2 * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", 3) ==
        Lines{"2026-10-25T02:00:00+02:00 first of two 02:00 (clocks go back)",
              "2026-10-25T02:00:00+01:00 second of two 02:00 (clocks go back)",
              "2026-10-25T04:00:00+01:00"});
}

TEST_CASE("schedule: New York", "[schedule]") {
  CHECK(fires("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2) ==
        Lines{"2026-03-08T03:00:00-04:00 moved: 02:30 does not exist on this day (clocks go "
              "forward)",
              "2026-03-09T02:30:00-04:00"});
  CHECK(fires("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2) ==
        Lines{"2026-11-01T01:30:00-04:00 first of two 01:30 (clocks go back)",
              "2026-11-02T01:30:00-05:00"});
}

TEST_CASE("schedule: Lord Howe changes by half an hour", "[schedule]") {
  // 2026-10-04 02:00 +10:30 becomes 02:30 +11:00; 2026-04-05 02:00 +11 becomes 01:30 +10:30.
  CHECK(fires("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2) ==
        Lines{"2026-10-04T02:30:00+11:00 moved: 02:15 does not exist on this day (clocks go "
              "forward)",
              "2026-10-05T02:15:00+11:00"});
  CHECK(fires("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2) ==
        Lines{"2026-04-05T01:45:00+11:00 first of two 01:45 (clocks go back)",
              "2026-04-06T01:45:00+10:30"});
  CHECK(fires("15 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 1) ==
        Lines{"2026-04-05T01:15:00+11:00"});
}

TEST_CASE("schedule: midnight in the gap", "[schedule]") {
  CHECK(fires("@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2) ==
        Lines{"2018-11-04T01:00:00-02:00 moved: 00:00 does not exist on this day (clocks go "
              "forward)",
              "2018-11-05T00:00:00-02:00"});
  // Back at midnight: the clock shows 23:00 to 24:00 of the day before twice, midnight once.
  CHECK(fires("0 0 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", 1) ==
        Lines{"2018-02-18T00:00:00-03:00"});
  CHECK(fires("30 23 17 2 *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", 2) ==
        Lines{"2018-02-17T23:30:00-02:00 first of two 23:30 (clocks go back)",
              "2019-02-17T23:30:00-03:00"});
  CHECK(fires("@daily", "Asia/Beirut", "2026-03-28T12:00:00Z", 2) ==
        Lines{"2026-03-29T01:00:00+03:00 moved: 00:00 does not exist on this day (clocks go "
              "forward)",
              "2026-03-30T00:00:00+03:00"});
  // The gap swallows a part of each of two days: Toronto 1919-03-30 23:30 became 00:30.
  CHECK(fires("45 23 30 3 *", "America/Toronto", "1919-03-30T00:00:00Z", 1) ==
        Lines{"1919-03-31T00:30:00-04:00 moved: 23:45 does not exist on this day (clocks go "
              "forward)"});
}

TEST_CASE("schedule: a day that a zone skipped has no fires", "[schedule]") {
  // Apia went from 2011-12-29 24:00 -10 straight to 2011-12-31 00:00 +14.
  CHECK(
      fires("0 2 * * *", "Pacific/Apia", "2011-12-28T13:00:00Z", 3) ==
      Lines{"2011-12-29T02:00:00-10:00", "2011-12-31T02:00:00+14:00", "2012-01-01T02:00:00+14:00"});
  CHECK(fires("0 2 30 12 *", "Pacific/Apia", "2011-12-01", 1) ==
        Lines{"2012-12-30T02:00:00+14:00"});
  CHECK(
      fires("0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", 3) ==
      Lines{"2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T01:00:00+14:00"});
}

TEST_CASE("schedule: daylight saving beyond the listed years", "[schedule]") {
  CHECK(fires("30 2 * * *", "Europe/Berlin", "2050-03-26T12:00:00Z", 1) ==
        Lines{"2050-03-27T03:00:00+02:00 moved: 02:30 does not exist on this day (clocks go "
              "forward)"});
  CHECK(fires("0 12 1 7 *", "America/New_York", "2060-01-01", 1) ==
        Lines{"2060-07-01T12:00:00-04:00"});
}

TEST_CASE("schedule: odd offsets before standard time keep whole local minutes", "[schedule]") {
  const auto fire = next_after(CronExpression::parse("0 0 * * *"), at("1880-01-01"),
                               TimeZone::load("Europe/Berlin"));
  REQUIRE(fire);
  CHECK(fire->local == "1880-01-02T00:00:00+00:53:28");
  CHECK(util::format_rfc3339(fire->at) == "1880-01-01T23:06:32.000Z");
}

TEST_CASE("schedule: @every counts from its anchor", "[schedule]") {
  const CronExpression cron = CronExpression::parse("@every 90m");
  const TimeZone zone = TimeZone::load("Europe/Berlin");
  const util::TimePoint anchor = at("2026-03-29T00:10:00Z");
  const auto next = [&](std::string_view from) {
    const auto fire = next_after(cron, at(from), zone, anchor);
    REQUIRE(fire);
    return util::format_rfc3339(fire->at) + " " + fire->local;
  };
  // Never before or at the anchor; the change of the clocks at 01:00Z does not matter.
  CHECK(next("2026-01-01") == "2026-03-29T01:40:00.000Z 2026-03-29T03:40:00+02:00");
  CHECK(next("2026-03-29T00:10:00Z") == "2026-03-29T01:40:00.000Z 2026-03-29T03:40:00+02:00");
  CHECK(next("2026-03-29T01:40:00Z") == "2026-03-29T03:10:00.000Z 2026-03-29T05:10:00+02:00");
  CHECK(next("2026-03-29T03:09:59.999Z") == "2026-03-29T03:10:00.000Z 2026-03-29T05:10:00+02:00");
}

TEST_CASE("schedule: the ends of time", "[schedule]") {
  CHECK(fires("0 0 * * *", "UTC", "9999-12-31T12:00:00Z", 1) == Lines{"none"});
  CHECK(fires("0 0 * * *", "Europe/Berlin", "9999-12-31T12:00:00Z", 1) == Lines{"none"});
  CHECK(fires("0 0 29 2 *", "UTC", "9997-01-01", 1) == Lines{"none"});
  const TimeZone zone = TimeZone::load("America/New_York");
  const CronExpression daily = CronExpression::parse("@daily");
  CHECK_FALSE(next_after(daily, util::TimePoint::max(), zone));
  CHECK(next_after(daily, util::TimePoint::min(), zone));
  const CronExpression every = CronExpression::parse("@every 1000y");
  CHECK_FALSE(next_after(every, at("9600-01-01"), zone, at("9500-01-01")));
  CHECK(next_after(every, util::TimePoint::min(), zone, util::TimePoint::min()));
}

}  // namespace
}  // namespace dbbackup::schedule
