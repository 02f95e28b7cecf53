// A command of the user's, run as a child process that cannot outstay its welcome.
//
// The child leads a process group of its own, so that everything it starts is ended with it. It
// gets exactly the environment it is given, /dev/null as its input, and none of our descriptors but
// the pipe that carries its output. What it leaves behind on a regular end (a process in the
// background) goes on, but is heard no more.
//
// Threads: safe from any thread; the caller's thread waits. Owns: the child, until it is reaped.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "util/time.hpp"

namespace dbbackup::util {

struct Command {
  std::vector<std::string> arguments;    // the program's absolute path first
  std::vector<std::string> environment;  // NAME=VALUE
};

struct CommandLimits {
  Milliseconds timeout;
  // Between SIGTERM and SIGKILL to the whole group, once the time is over or a stop is requested.
  Milliseconds grace = std::chrono::seconds(2);
  std::size_t line_bytes = 4096;  // a longer line is cut
  std::size_t lines = 1000;       // more are counted, not passed on
};

struct CommandEnd {
  std::optional<int> exit_status;  // empty when a signal ended it
  int signal = 0;
  bool timed_out = false;
  bool stopped = false;  // a stop was requested before it ended by itself
  std::size_t lines_left_out = 0;
  bool ok() const { return exit_status == 0 && !timed_out && !stopped; }
};

// Runs the command to its end; `on_line` gets each line of its output and error output (without the
// newline, control characters made visible) as it comes.
// Errors: those of system_error(), when it cannot be started; what on_line throws, after the group
// was killed.
CommandEnd run_command(const Command& command, const CommandLimits& limits, const Clock& clock,
                       const std::stop_token& stop,
                       const std::function<void(std::string_view)>& on_line);

}  // namespace dbbackup::util
