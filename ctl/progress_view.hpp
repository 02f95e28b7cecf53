// How far a run is, as bars, plain lines or JSON objects.
//
// On a terminal two bars (streams, bytes) are redrawn in place, at most ten times a second, and log
// lines scroll by above them. Elsewhere a line every ten seconds is enough for a log file. With -o
// jsonl every notification is an object on stdout.
//
// Threads: used by the main thread only.
// Owns: nothing; output and clock outlive it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/output.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace dbbackup::ctl {

struct ProgressSample {
  std::string state;
  std::string waits_for = "its turn";  // while queued
  std::int64_t streams_done = 0;
  std::int64_t streams_total = 0;  // 0 while unknown, like the other totals
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_total = 0;
  std::optional<double> bytes_per_second;
  std::optional<double> remaining_seconds;
};

// From the parameters of a run.progress notification.
ProgressSample progress_sample(const util::json::Object& params);
// One line without bars: "3 of 12 streams, 1,204 rows, 1.2 GiB of 2.4 GiB (50 %), 120.0 MiB/s, 0:10
// left".
std::string progress_line(const ProgressSample& sample);
// Two lines with bars, none longer than `width`.
std::vector<std::string> progress_bars(const ProgressSample& sample, std::size_t width);

class ProgressView {
 public:
  enum class Mode { none, bars, lines, objects };

  ProgressView(Mode mode, Output& out, const util::Clock& clock)
      : mode_(mode), out_(out), clock_(clock) {}
  ~ProgressView() { finish(); }
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void progress(const util::json::Object& params);
  void log(const util::json::Object& params);
  // A line above the bars, whatever the mode.
  void say(std::string_view line);
  // Takes the bars away. The view may go on afterwards.
  void finish();

 private:
  void erase();
  void draw();
  void estimate(ProgressSample& sample);

  Mode mode_;
  Output& out_;
  const util::Clock& clock_;
  ProgressSample sample_;
  std::optional<util::SteadyPoint> shown_at_;
  std::optional<std::pair<util::SteadyPoint, std::int64_t>> first_;  // when, bytes
  std::size_t lines_drawn_ = 0;
};

// "2026-11-21 09:33:00 UTC  warning  table a is locked" as it is shown in a log.
std::string log_line(const util::json::Object& entry);

}  // namespace dbbackup::ctl
