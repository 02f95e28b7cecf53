// The person at the other end, if there is one: which streams are terminals, how wide, whether
// colour is wanted, and questions asked with and without echo. A test brings its own Terminal and
// answers by itself.
//
// Threads: used by the main thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "control/secret_source.hpp"

namespace dbbackup::ctl {

using Environment = control::Environment;
Environment process_environment();

struct Terminal {
  bool input = false;   // stdin and stderr are terminals: questions can be asked
  bool output = false;  // stdout is one
  bool error = false;   // stderr is one that can move its cursor
  bool colour_output = false;
  bool colour_error = false;
  std::size_t width = 0;  // columns; 0 where there is no limit

  // Errors: usage, when the input ends instead of answering.
  std::function<std::string(std::string_view question)> ask;
  std::function<std::string(std::string_view question)> ask_secret;
};

// Colour needs a terminal, and neither NO_COLOR (Source: no-color.org), TERM=dumb nor `no_color`.
Terminal detect_terminal(const Environment& environment, bool no_color);

// Counts Ctrl-C instead of dying of it, as long as it lives. One at a time.
class InterruptCounter {
 public:
  InterruptCounter();
  ~InterruptCounter();
  InterruptCounter(const InterruptCounter&) = delete;
  InterruptCounter& operator=(const InterruptCounter&) = delete;
  int count() const;
};

}  // namespace dbbackup::ctl
