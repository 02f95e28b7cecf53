#include "ctl/progress_view.hpp"

#include <catch2/catch.hpp>
#include <sstream>

#include "ctl/text_width.hpp"
#include "support/manual_clock.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using dbbackup::test::ManualClock;
using Mode = ProgressView::Mode;

namespace {

json::Object running(std::int64_t bytes) {
  return {{"run", "01jd"},
          {"state", "running"},
          {"progress", json::Object{{"streams_done", 3},
                                    {"streams_total", 12},
                                    {"rows", 1204},
                                    {"bytes", bytes},
                                    {"bytes_total", std::int64_t{4} << 20U}}}};
}

struct Screen {
  explicit Screen(Mode mode, Format format = Format::table)
      : output(out, err, terminal, format, false), view(mode, output, clock) {
    terminal.width = 80;
  }
  std::ostringstream out;
  std::ostringstream err;
  Terminal terminal;
  Output output;
  ManualClock clock{util::TimePoint{}};
  ProgressView view;
};

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

}  // namespace

TEST_CASE("ctl: a progress line says done, rate and remaining") {
  json::Object params = running(std::int64_t{2} << 20U);
  params["progress"].get_object()["rate_bytes_per_second"] = 1048576;
  params["progress"].get_object()["remaining_seconds"] = 2.0;
  CHECK(progress_line(progress_sample(params)) ==
        "3 of 12 streams, 1,204 rows, 2.0 MiB of 4.0 MiB (50 %), 1.0 MiB/s, 0:02 left");
  CHECK(progress_line(progress_sample({{"state", "queued"}})) == "queued: waiting for its turn");
  // Unknown totals, and numbers that make no sense.
  CHECK(progress_line(
            progress_sample({{"state", "running"}, {"progress", json::Object{{"bytes", -5}}}})) ==
        "0 streams, 0 B");
}

TEST_CASE("ctl: bars fit the terminal") {
  for (const std::size_t width : {10U, 40U, 80U, 200U}) {
    for (const std::string& line : progress_bars(progress_sample(running(9'000'000)), width)) {
      CHECK(display_width(line) <= width);
    }
  }
  CHECK(progress_bars(progress_sample(running(2097152)), 80)[1].starts_with("bytes   [#"));
}

TEST_CASE("ctl: bars are redrawn at most ten times a second, in place") {
  Screen screen(Mode::bars);
  for (int i = 0; i < 20; ++i) {
    screen.view.progress(running(i * 1000));
    screen.clock.advance(util::Milliseconds(50));
  }
  CHECK(count(screen.err.str(), "streams [") == 10);
  CHECK(count(screen.err.str(), "\x1b[1A\x1b[2K") == 18);  // two lines, nine times
  screen.view.finish();
  CHECK(count(screen.err.str(), "\x1b[1A\x1b[2K") == 20);
}

TEST_CASE("ctl: log lines scroll above the bars") {
  Screen screen(Mode::bars);
  screen.view.progress(running(0));
  screen.view.log(
      {{"at", "2026-11-21T12:00:00Z"}, {"severity", "info"}, {"line", "table a\x1b[m"}});
  const std::string text = screen.err.str();
  const std::size_t line = text.find("2026-11-21 12:00:00 UTC  info  table a\\x1b[m\n");
  REQUIRE(line != std::string::npos);
  CHECK(text.find("bytes   [", line) != std::string::npos);
}

TEST_CASE("ctl: elsewhere a line every ten seconds, with an estimated rate") {
  Screen screen(Mode::lines);
  for (int second = 0; second <= 25; ++second) {
    screen.view.progress(running(second * 100'000));
    screen.clock.advance(util::Milliseconds(1000));
  }
  CHECK(count(screen.err.str(), "\n") == 3);
  CHECK(count(screen.err.str(), "97.7 KiB/s") == 2);
  CHECK(count(screen.err.str(), "left") == 2);
  CHECK(count(screen.err.str(), "\x1b") == 0);
}

TEST_CASE("ctl: -o jsonl streams objects on stdout") {
  Screen screen(Mode::objects, Format::jsonl);
  screen.view.progress(running(1));
  screen.view.log({{"line", "x"}});
  CHECK(
      screen.out.str().starts_with(R"({"message_type":"progress","run":"01jd","state":"running")"));
  CHECK(screen.out.str().ends_with("{\"message_type\":\"log\",\"line\":\"x\"}\n"));
  CHECK(screen.err.str().empty());
}

}  // namespace dbbackup::ctl
