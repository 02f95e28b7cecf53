// The log facade: lines with a severity and a few named fields (run=..., job=...), to stderr or to
// a sink the caller brings (the daemon brings journald's). spdlog stays behind it.
//
// Secrets never get here: callers pass names and ids, not URLs with credentials.
// Threads: safe from any thread.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/task.hpp"

namespace dbbackup::util {

using LogFields = std::vector<std::pair<std::string, std::string>>;

class Logger {
 public:
  using Sink = std::function<void(Severity, std::string_view message, const LogFields&)>;

  // Lines on stderr: with time stamps on a terminal or in a file; with systemd's `<N>` level
  // prefixes (Source: sd-daemon(3)) when `systemd_prefix` is set.
  static Logger to_stderr(bool systemd_prefix);
  static Logger to_sink(Sink sink);
  static Logger to_nowhere();

  void set_level(Severity least);

  void debug(std::string_view message, const LogFields& fields = {}) const;
  void info(std::string_view message, const LogFields& fields = {}) const;
  void warn(std::string_view message, const LogFields& fields = {}) const;
  void error(std::string_view message, const LogFields& fields = {}) const;
  void log(Severity severity, std::string_view message, const LogFields& fields) const;

 private:
  struct Impl;
  explicit Logger(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace dbbackup::util
