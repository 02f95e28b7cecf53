// What a long piece of work carries with it: a way to be stopped, numbers that tell how far it is,
// and a place for the lines it wants to tell its user. The work polls or subscribes to the stop
// token; it never knows who asked.
//
// Threads: Progress and Task may be used from every worker of one piece of work at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace dbbackup::util {

enum class Severity { debug, info, warning, error };
std::string_view severity_name(Severity severity);

// Counters sampled once a second by whoever shows them. Totals are 0 while unknown.
struct Progress {
  std::atomic<std::uint64_t> streams_done{0};
  std::atomic<std::uint64_t> streams_total{0};
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> bytes_total{0};
};

class Task {
 public:
  using Sink = std::function<void(Severity, std::string_view)>;

  // Requires: progress outlives the task.
  Task(std::stop_token stop, Progress& progress, Sink sink);

  const std::stop_token& stop() const { return stop_; }
  bool stopped() const { return stop_.stop_requested(); }
  // Errors: cancelled, when a stop was requested.
  void check() const;

  Progress& progress() { return progress_; }

  void info(std::string_view line) const { tell(Severity::info, line); }
  // A warning also belongs into the result; callers that collect warnings do so themselves.
  void warn(std::string_view line) const { tell(Severity::warning, line); }
  void tell(Severity severity, std::string_view line) const;

 private:
  std::stop_token stop_;
  Progress& progress_;
  Sink sink_;
};

// A task that nobody stops and nobody listens to; owns its progress. For tools and tests.
class QuietTask {
 public:
  Task& task() { return task_; }
  std::stop_source& stop_source() { return source_; }

 private:
  std::stop_source source_;
  Progress progress_;
  Task task_{source_.get_token(), progress_, {}};
};

}  // namespace dbbackup::util
