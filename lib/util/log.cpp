#include "util/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "util/text.hpp"

namespace dbbackup::util {

struct Logger::Impl {
  std::shared_ptr<spdlog::logger> out;
  Sink sink;
  bool systemd_prefix = false;
  std::atomic<Severity> least{Severity::info};
};

Logger Logger::to_stderr(bool systemd_prefix) {
  auto impl = std::make_shared<Impl>();
  impl->systemd_prefix = systemd_prefix;
  impl->out = std::make_shared<spdlog::logger>("dbbackupd",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>());
  impl->out->set_level(spdlog::level::trace);
  impl->out->set_pattern(systemd_prefix ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                         spdlog::pattern_time_type::utc);
  return Logger(std::move(impl));
}

Logger Logger::to_sink(Sink sink) {
  auto impl = std::make_shared<Impl>();
  impl->sink = std::move(sink);
  return Logger(std::move(impl));
}

Logger Logger::to_nowhere() { return to_sink({}); }

void Logger::set_level(Severity least) { impl_->least = least; }

void Logger::log(Severity severity, std::string_view message, const LogFields& fields) const {
  if (severity < impl_->least) return;
  if (!impl_->out) {
    if (impl_->sink) impl_->sink(severity, message, fields);
    return;
  }
  std::string line;
  if (impl_->systemd_prefix) {
    // Source: sd-daemon(3): <3> err, <4> warning, <6> info, <7> debug.
    static constexpr const char* kPrefix[] = {"<7>", "<6>", "<4>", "<3>"};
    line += kPrefix[static_cast<int>(severity)];
  }
  line += printable(message);
  for (const auto& [name, value] : fields) line += cat(" ", name, "=", printable(value));
  static constexpr spdlog::level::level_enum kLevel[] = {spdlog::level::debug, spdlog::level::info,
                                                         spdlog::level::warn, spdlog::level::err};
  impl_->out->log(kLevel[static_cast<int>(severity)], "{}", line);
}

void Logger::debug(std::string_view message, const LogFields& fields) const {
  log(Severity::debug, message, fields);
}
void Logger::info(std::string_view message, const LogFields& fields) const {
  log(Severity::info, message, fields);
}
void Logger::warn(std::string_view message, const LogFields& fields) const {
  log(Severity::warning, message, fields);
}
void Logger::error(std::string_view message, const LogFields& fields) const {
  log(Severity::error, message, fields);
}

}  // namespace dbbackup::util
