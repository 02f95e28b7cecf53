#include "schedule/window.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "util/error.hpp"

namespace dbbackup::schedule {
namespace {

using namespace std::chrono_literals;

util::TimePoint at(std::string_view text) {
  const auto time = util::parse_time(text);
  REQUIRE(time);
  return *time;
}

TEST_CASE("schedule: a window holds its begin and not its end", "[schedule]") {
  const Window day = Window::parse("09:00-17:30");
  CHECK_FALSE(day.contains(8h + 59min));
  CHECK(day.contains(9h));
  CHECK(day.contains(17h + 29min));
  CHECK_FALSE(day.contains(17h + 30min));
  const Window night = Window::parse("22:00-06:00");
  CHECK(night.contains(22h));
  CHECK(night.contains(0min));
  CHECK(night.contains(5h + 59min));
  CHECK_FALSE(night.contains(6h));
  CHECK_FALSE(night.contains(12h));
  CHECK(Window::parse("00:00-24:00").contains(23h + 59min));
  CHECK(Window::parse("23:00-00:00").contains(23h + 59min));
  CHECK_FALSE(Window::parse("23:00-00:00").contains(0min));
}

TEST_CASE("schedule: what is not a window is refused", "[schedule]") {
  for (const char* text : {"", "22:00", "22-06", "24:00-06:00", "22:00-25:00", "22:60-23:00",
                           "22:00-24:01", "22:00-22:00", "2:00-03:00", "22:00 - 23:00",
                           "-1:00-02:00", "22:00-23:00-24:00", "+1:00-02:00"}) {
    CAPTURE(text);
    try {
      Window::parse(text);
      FAIL("accepted");
    } catch (const util::Error& error) {
      CHECK(error.code() == util::ErrorCode::usage);
      CHECK_THAT(error.message(), Catch::Contains(text));
      CHECK_FALSE(error.hint().empty());
    }
  }
}

TEST_CASE("schedule: no windows mean any time", "[schedule]") {
  const TimeZone utc = TimeZone::load("UTC");
  CHECK(inside(at("2026-01-01"), utc, {}));
  CHECK(next_open(at("2026-01-01"), utc, {}) == at("2026-01-01"));
}

TEST_CASE("schedule: windows are read on the zone's clocks", "[schedule]") {
  const TimeZone berlin = TimeZone::load("Europe/Berlin");
  const std::vector<Window> windows{Window::parse("22:00-02:00"), Window::parse("12:00-13:00")};
  CHECK(inside(at("2026-07-01T20:00:00Z"), berlin, windows));
  CHECK_FALSE(inside(at("2026-01-01T20:59:59.999Z"), berlin, windows));
  CHECK(inside(at("2026-01-01T21:00:00Z"), berlin, windows));
  CHECK(next_open(at("2026-01-01T01:00:00.5Z"), berlin, windows) == at("2026-01-01T11:00:00Z"));
  CHECK(next_open(at("2026-01-01T12:00:00Z"), berlin, windows) == at("2026-01-01T21:00:00Z"));
  CHECK(next_open(at("2026-01-01T21:30:00.25Z"), berlin, windows) == at("2026-01-01T21:30:00.25Z"));
}

TEST_CASE("schedule: windows around daylight saving", "[schedule]") {
  const TimeZone berlin = TimeZone::load("Europe/Berlin");
  // In the gap: not on that day. Partly in the gap: from where the clock goes on.
  const std::vector<Window> in_gap{Window::parse("02:10-02:50")};
  CHECK(next_open(at("2026-03-28T12:00:00Z"), berlin, in_gap) == at("2026-03-30T00:10:00Z"));
  const std::vector<Window> over_gap{Window::parse("02:10-04:00")};
  CHECK(next_open(at("2026-03-28T12:00:00Z"), berlin, over_gap) == at("2026-03-29T01:00:00Z"));
  // In the overlap: open, closed, open again.
  const std::vector<Window> in_overlap{Window::parse("02:30-03:00")};
  CHECK(next_open(at("2026-10-24T12:00:00Z"), berlin, in_overlap) == at("2026-10-25T00:30:00Z"));
  CHECK_FALSE(inside(at("2026-10-25T01:10:00Z"), berlin, in_overlap));
  CHECK(next_open(at("2026-10-25T01:10:00Z"), berlin, in_overlap) == at("2026-10-25T01:30:00Z"));
}

TEST_CASE("schedule: windows that touch are open as one", "[schedule]") {
  const TimeZone utc = TimeZone::load("UTC");
  const std::vector<Window> night{Window::parse("22:00-00:00"), Window::parse("00:00-06:00")};
  CHECK(open_until(at("2026-11-20T23:15:30Z"), utc, night) == at("2026-11-21T06:00:00Z"));
  CHECK(longest_open(night) == 8h);
  const std::vector<Window> overlapping{Window::parse("08:00-12:00"), Window::parse("11:00-13:30")};
  CHECK(open_until(at("2026-11-20T08:00:00Z"), utc, overlapping) == at("2026-11-20T13:30:00Z"));
  CHECK(longest_open(overlapping) == 5h + 30min);
  const std::vector<Window> always{Window::parse("06:00-18:00"), Window::parse("17:00-06:00")};
  CHECK_FALSE(open_until(at("2026-11-20T08:00:00Z"), utc, always));
  CHECK_FALSE(longest_open(always));
  CHECK(next_start(at("2026-11-20T08:00:00Z"), utc, always, 1000h) == at("2026-11-20T08:00:00Z"));
}

TEST_CASE("schedule: how long a window is open follows the clocks", "[schedule]") {
  const TimeZone berlin = TimeZone::load("Europe/Berlin");
  const std::vector<Window> night{Window::parse("01:00-04:00")};
  CHECK(open_until(at("2026-03-29T00:00:00Z"), berlin, night) == at("2026-03-29T02:00:00Z"));
  CHECK(open_until(at("2026-10-24T23:00:00Z"), berlin, night) == at("2026-10-25T03:00:00Z"));
  // 02:30 comes twice; the window over it closes in between, because then it is 02:00 again.
  const std::vector<Window> half{Window::parse("02:30-03:30")};
  CHECK(open_until(at("2026-10-25T00:40:00Z"), berlin, half) == at("2026-10-25T01:00:00Z"));
}

TEST_CASE("schedule: work starts where it ends before the windows close", "[schedule]") {
  const TimeZone utc = TimeZone::load("UTC");
  const std::vector<Window> windows{Window::parse("12:00-13:00"), Window::parse("22:00-02:00")};
  const auto start = [&](std::string_view from, util::Milliseconds expected) {
    return next_start(at(from), utc, windows, expected);
  };
  CHECK(start("2026-11-20T12:10:00Z", 50min) == at("2026-11-20T12:10:00Z"));
  CHECK(start("2026-11-20T12:10:00Z", 51min) == at("2026-11-20T22:00:00Z"));
  CHECK(start("2026-11-20T23:00:00Z", 3h) == at("2026-11-20T23:00:00Z"));
  CHECK(start("2026-11-20T23:00:01Z", 3h) == at("2026-11-21T22:00:00Z"));
  CHECK(start("2026-11-20T03:00:00Z", 10min) == at("2026-11-20T12:00:00Z"));
  // Longer than any: whenever one is open.
  CHECK(start("2026-11-20T12:59:00Z", 5h) == at("2026-11-20T12:59:00Z"));
  CHECK(start("2026-11-20T13:00:00Z", 5h) == at("2026-11-20T22:00:00Z"));
}

}  // namespace
}  // namespace dbbackup::schedule
