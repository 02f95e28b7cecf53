#include "schedule/zone.hpp"

#include <catch2/catch.hpp>

#include "schedule/posix_rule.hpp"
#include "util/error.hpp"

namespace dbbackup::schedule {
namespace {

using namespace std::chrono_literals;

util::TimePoint at(std::string_view text) {
  const auto time = util::parse_time(text);
  REQUIRE(time);
  return *time;
}

util::Error error_of(std::string_view name) {
  try {
    TimeZone::load(name);
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("'" << name << "' was accepted");
  return {util::ErrorCode::internal, ""};
}

TEST_CASE("schedule: zones are found by their IANA names only", "[schedule]") {
  CHECK(TimeZone::load("Europe/Berlin").name() == "Europe/Berlin");
  CHECK(TimeZone::load("UTC").name() == "UTC");
  struct Row {
    const char* name;
    const char* hint;
  };
  const Row rows[] = {
      {"Europe/Berln", "did you mean Europe/Berlin?"},
      {"europe/berlin", "did you mean Europe/Berlin?"},
      {"Berlin", "did you mean Europe/Berlin?"},
      {"new york", "did you mean America/New_York?"},
      {"America/NewYork", "did you mean America/New_York?"},
      {"Amrica/Sao_Paulo", "did you mean America/Sao_Paulo?"},
      {"Mittelerde/Auenland-im-Norden", "IANA names"},
      {"+02:00", "IANA names"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const util::Error error = error_of(row.name);
    CHECK(error.code() == util::ErrorCode::usage);
    CHECK(error.message() == std::string("unknown time zone '") + row.name + "'");
    CHECK_THAT(error.hint(), Catch::Contains(row.hint));
  }
  for (const char* name : {"", "localtime", "posix/Europe/Berlin", "right/UTC", "../../etc/passwd",
                           "/usr/share/zoneinfo/UTC", "tzdata.zi", "Europe"}) {
    CAPTURE(name);
    CHECK(error_of(name).code() == util::ErrorCode::usage);
  }
}

TEST_CASE("schedule: this machine has a zone", "[schedule]") {
  const TimeZone zone = TimeZone::of_machine();
  CHECK_FALSE(zone.name().empty());
  CHECK_NOTHROW(TimeZone::load(zone.name()));
}

TEST_CASE("schedule: periods of constant offset", "[schedule]") {
  const TimeZone berlin = TimeZone::load("Europe/Berlin");
  const TimeZone::Period summer = berlin.period_at(at("2026-07-01"));
  CHECK(summer.begin == at("2026-03-29T01:00:00Z"));
  CHECK(summer.end == at("2026-10-25T01:00:00Z"));
  CHECK(summer.offset == 2h);
  CHECK(berlin.period_at(summer.begin - 1ms).offset == 1h);
  CHECK(berlin.period_at(summer.begin).offset == 2h);
  CHECK(berlin.period_at(summer.end).offset == 1h);
  CHECK(TimeZone::load("UTC").period_at(at("2026-07-01")).offset == 0s);
}

TEST_CASE("schedule: periods go on without a seam where the listed years end", "[schedule]") {
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                           "America/Nuuk", "Asia/Jerusalem", "Europe/Dublin", "Africa/Cairo",
                           "America/Santiago", "Pacific/Auckland"}) {
    CAPTURE(name);
    const TimeZone zone = TimeZone::load(name);
    TimeZone::Period period = zone.period_at(at("2030-01-01"));
    int changes = 0;
    while (period.end < at("2100-01-01")) {
      const TimeZone::Period next = zone.period_at(period.end);
      REQUIRE(next.begin == period.end);
      REQUIRE(next.end > next.begin);
      REQUIRE(next.offset != period.offset);
      REQUIRE(zone.period_at(next.end - 1ms).begin == next.begin);
      period = next;
      ++changes;
    }
    CHECK(changes == 140);
  }
  // A zone without daylight saving stays as it is.
  CHECK(TimeZone::load("Asia/Kolkata").period_at(at("2090-07-01")).offset == 5h + 30min);
}

TEST_CASE("schedule: local times are written with their offset", "[schedule]") {
  CHECK(TimeZone::load("UTC").format_local(at("2026-11-21T09:33:07.5Z")) ==
        "2026-11-21T09:33:07+00:00");
  CHECK(TimeZone::load("Australia/Lord_Howe").format_local(at("2026-07-01")) ==
        "2026-07-01T10:30:00+10:30");
  CHECK(TimeZone::load("America/St_Johns").format_local(at("2026-01-01")) ==
        "2025-12-31T20:30:00-03:30");
}

TEST_CASE("schedule: rules of the TZ variable", "[schedule]") {
  const auto rule = PosixRule::parse("CET-1CEST,M3.5.0,M10.5.0/3");
  REQUIRE(rule);
  const auto day = [](int year, unsigned month, unsigned day_of_month) {
    return std::chrono::sys_seconds(std::chrono::sys_days(
        std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day_of_month)));
  };
  CHECK(rule->period_at(day(2050, 7, 1)).begin == day(2050, 3, 27) + 1h);
  CHECK(rule->period_at(day(2050, 7, 1)).end == day(2050, 10, 30) + 1h);
  CHECK(rule->period_at(day(2050, 1, 1)).begin == day(2049, 10, 31) + 1h);

  const auto south = PosixRule::parse("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
  REQUIRE(south);
  CHECK(south->period_at(day(2050, 1, 1)).offset == 11h);
  CHECK(south->period_at(day(2050, 7, 1)).offset == 10h + 30min);

  // Greenland changes on the day before the named Sunday.
  const auto early = PosixRule::parse("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
  REQUIRE(early);
  CHECK(early->period_at(day(2050, 7, 1)).begin == day(2050, 3, 27) + 1h);

  for (const char* text :
       {"", "UTC0", "<+0530>-5:30", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M13.5.0",
        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0,",
        "<CET-1", "CET-1CEST,J60,J300", ",,,"}) {
    CAPTURE(text);
    CHECK_FALSE(PosixRule::parse(text));
  }
}

}  // namespace
}  // namespace dbbackup::schedule
