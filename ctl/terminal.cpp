#include "ctl/terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "util/error.hpp"

namespace dbbackup::ctl {

namespace {

// A signal handler has no context but the process's memory.
volatile std::sig_atomic_t interrupts = 0;
struct sigaction previous_action;

void count_interrupt(int) { interrupts = interrupts + 1; }

// Source: termios(3). The terminal gets its echo back also when the question is broken off.
class EchoOff {
 public:
  EchoOff() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    changed_ = true;
    struct termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~EchoOff() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  struct termios before_ {};
  bool changed_ = false;
};

std::string read_answer(std::string_view question) {
  // Best effort: a question that cannot be written is answered by nobody, and the read below says
  // so.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, question.data(), question.size());
  std::string answer;
  char c = 0;
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, &c, 1);
    if (count != 1) throw util::Error(util::ErrorCode::cancelled, "no answer was given");
    if (c == '\n') return answer;
    answer.push_back(c);
  }
}

std::string read_secret(std::string_view question) {
  // A Ctrl-C must end the question and not the process, or the shell would be left without echo.
  const InterruptCounter counter;
  const EchoOff silence;
  return read_answer(question);
}

std::size_t terminal_width(int fd, const Environment& environment) {
  struct winsize size {};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const auto columns = environment("COLUMNS");
  const int width = columns ? std::atoi(columns->c_str()) : 0;
  return width > 0 ? static_cast<std::size_t>(width) : 80;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
}

Terminal detect_terminal(const Environment& environment, bool no_color) {
  const bool error = ::isatty(STDERR_FILENO) == 1;
  const bool dumb = environment("TERM").value_or("dumb") == "dumb";
  const bool colour = !no_color && !dumb && environment("NO_COLOR").value_or("").empty();
  Terminal terminal;
  terminal.input = ::isatty(STDIN_FILENO) == 1 && error;
  terminal.output = ::isatty(STDOUT_FILENO) == 1;
  terminal.error = error && !dumb;
  terminal.colour_output = terminal.output && colour;
  terminal.colour_error = error && colour;
  if (terminal.output || terminal.error) {
    terminal.width = terminal_width(terminal.output ? STDOUT_FILENO : STDERR_FILENO, environment);
  }
  terminal.ask = read_answer;
  terminal.ask_secret = read_secret;
  return terminal;
}

InterruptCounter::InterruptCounter() {
  interrupts = 0;
  struct sigaction action {};
  action.sa_handler = count_interrupt;  // without SA_RESTART: blocking calls return early
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &previous_action);
}

InterruptCounter::~InterruptCounter() { ::sigaction(SIGINT, &previous_action, nullptr); }

int InterruptCounter::count() const { return static_cast<int>(interrupts); }

}  // namespace dbbackup::ctl
