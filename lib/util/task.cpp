#include "util/task.hpp"

#include "util/error.hpp"

namespace dbbackup::util {

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::debug:
      return "debug";
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "info";
}

Task::Task(std::stop_token stop, Progress& progress, Sink sink)
    : stop_(std::move(stop)), progress_(progress), sink_(std::move(sink)) {}

void Task::check() const {
  if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "cancelled on request");
}

void Task::tell(Severity severity, std::string_view line) const {
  if (sink_) sink_(severity, line);
}

}  // namespace dbbackup::util
