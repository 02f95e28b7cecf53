#include "ctl/format.hpp"

#include <catch2/catch.hpp>

namespace dbbackup::ctl {

namespace json = util::json;
using util::Milliseconds;

TEST_CASE("ctl: counts get separators") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(1000) == "1,000");
  CHECK(format_count(1234567) == "1,234,567");
  CHECK(format_count(-1234) == "-1,234");
  CHECK(format_count(-123) == "-123");
}

TEST_CASE("ctl: durations show at most two units") {
  CHECK(format_span(Milliseconds(340)) == "340 ms");
  CHECK(format_span(Milliseconds(12'900)) == "12 s");
  CHECK(format_span(Milliseconds(60'000)) == "1m");
  CHECK(format_span(Milliseconds(312'000)) == "5m 12s");
  CHECK(format_span(Milliseconds(11'100'000)) == "3h 5m");
  CHECK(format_span(Milliseconds(187'200'000)) == "2d 4h");
}

TEST_CASE("ctl: ages look back and ahead") {
  const auto now = *util::parse_time("2026-11-21T12:00:00Z");
  CHECK(format_age(now, now) == "now");
  CHECK(format_age(now - std::chrono::minutes(90), now) == "1h 30m ago");
  CHECK(format_age(now + std::chrono::seconds(12), now) == "in 12 s");
  CHECK(format_time(now) == "2026-11-21 12:00:00 UTC");
}

TEST_CASE("ctl: remaining time reads like a clock") {
  CHECK(format_countdown(Milliseconds(0)) == "0:00");
  CHECK(format_countdown(Milliseconds(44'100)) == "0:45");
  CHECK(format_countdown(Milliseconds(3'909'000)) == "1:05:09");
}

TEST_CASE("ctl: missing and foreign members are shown as a dash") {
  const auto now = *util::parse_time("2026-11-21T12:00:00Z");
  const json::Object object{{"at", "2026-11-21T11:00:00.000Z"},
                            {"null", nullptr},
                            {"bytes", 2048},
                            {"rows", 12345},
                            {"seconds", 1.5},
                            {"flag", true},
                            {"text", "x"},
                            {"empty", ""},
                            {"odd", "no time"}};
  CHECK(age_of(object, "at", now) == "1h ago");
  CHECK(time_of(object, "at", now) == "2026-11-21 11:00:00 UTC (1h ago)");
  CHECK(age_of(object, "odd", now) == "-");
  CHECK(age_of(object, "null", now) == "-");
  CHECK(size_of(object, "bytes") == "2.0 KiB");
  CHECK(size_of(object, "missing") == "-");
  CHECK(count_of(object, "rows") == "12,345");
  CHECK(span_of(object, "seconds") == "1 s");
  CHECK(text_of(object, "flag") == "yes");
  CHECK(text_of(object, "empty") == "-");
  CHECK(text_of(object, "missing") == "-");
}

}  // namespace dbbackup::ctl
