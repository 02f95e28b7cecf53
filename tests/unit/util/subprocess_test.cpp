// Commands of users: their output, their end, and that nothing of them is left behind.
#include "util/subprocess.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::util {
namespace {

struct Outcome {
  CommandEnd end;
  std::vector<std::string> lines;
};

CommandLimits generous() { return {.timeout = std::chrono::minutes(5)}; }

Outcome run_shell(const std::string& script, const CommandLimits& limits = generous(),
                  const std::stop_token& stop = {},
                  const std::function<void(std::string_view)>& also = {}) {
  Outcome outcome;
  outcome.end = run_command({{"/bin/sh", "-c", script}, {"PATH=/usr/bin:/bin", "COLOUR=blue"}},
                            limits, SystemClock(), stop, [&](std::string_view line) {
                              outcome.lines.emplace_back(line);
                              if (also) also(line);
                            });
  return outcome;
}

// Whether a process ends soon; it may be a zombie of init's for a moment.
bool goes_away(pid_t pid) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < deadline) {
    if (::kill(pid, 0) != 0) return true;
    std::this_thread::yield();
  }
  return false;
}

}  // namespace

TEST_CASE("subprocess: output line by line, with the exit status", "[util]") {
  const Outcome outcome = run_shell("echo one; echo two >&2; printf 'three\\tx'; exit 3");
  CHECK(outcome.lines == std::vector<std::string>{"one", "two", "three\\x09x"});
  CHECK(outcome.end.exit_status == 3);
  CHECK_FALSE(outcome.end.ok());
  CHECK(run_shell("true").end.ok());
}

TEST_CASE("subprocess: it sees the environment it was given and nothing else", "[util]") {
  ::setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
  const Outcome outcome = run_shell("echo $COLOUR; echo ${NOTIFY_SOCKET-none}; read x; echo $?");
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(outcome.lines == std::vector<std::string>{"blue", "none", "1"});
}

TEST_CASE("subprocess: it inherits no descriptor of ours", "[util]") {
  const int leaked = ::dup(STDIN_FILENO);  // without O_CLOEXEC
  REQUIRE(leaked > 2);
  const Outcome outcome = run_shell(cat("test -e /proc/self/fd/", leaked, "; echo $?"));
  ::close(leaked);
  CHECK(outcome.lines == std::vector<std::string>{"1"});
}

TEST_CASE("subprocess: output is bounded", "[util]") {
  CommandLimits limits = generous();
  limits.lines = 3;
  limits.line_bytes = 5;
  const Outcome outcome =
      run_shell("i=0; while [ $i -lt 5000 ]; do echo line-$i; i=$((i+1)); done", limits);
  CHECK(outcome.lines == std::vector<std::string>{"line-", "line-", "line-"});
  CHECK(outcome.end.lines_left_out == 4997);
  CHECK(outcome.end.ok());
}

TEST_CASE("subprocess: a signal that ended it is told", "[util]") {
  const Outcome outcome = run_shell("kill -USR1 $$");
  CHECK_FALSE(outcome.end.exit_status);
  CHECK(outcome.end.signal == SIGUSR1);
}

TEST_CASE("subprocess: what cannot be started is an error", "[util]") {
  try {
    run_command({{"/nowhere/at-all"}, {}}, generous(), SystemClock(), {}, [](auto) {});
    FAIL("it was started");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(error.message().find("/nowhere/at-all") != std::string::npos);
  }
}

TEST_CASE("subprocess: the time being over ends the whole group, also what ignores SIGTERM",
          "[util]") {
  CommandLimits limits{.timeout = Milliseconds(300), .grace = Milliseconds(100)};
  const Outcome outcome = run_shell("trap '' TERM; sleep 600 & echo $!; wait; sleep 600", limits);
  CHECK(outcome.end.timed_out);
  CHECK_FALSE(outcome.end.ok());
  CHECK(outcome.end.signal == SIGKILL);
  REQUIRE(outcome.lines.size() == 1);
  CHECK(goes_away(static_cast<pid_t>(parse_int(outcome.lines.front()).value())));
}

TEST_CASE("subprocess: a stop ends the whole group soon", "[util]") {
  std::stop_source stop;
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = run_shell("sleep 600 & echo $!; wait", generous(), stop.get_token(),
                                    [&](std::string_view) { stop.request_stop(); });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  CHECK(outcome.end.stopped);
  CHECK_FALSE(outcome.end.timed_out);
  REQUIRE(outcome.lines.size() == 1);
  CHECK(goes_away(static_cast<pid_t>(parse_int(outcome.lines.front()).value())));
}

TEST_CASE("subprocess: what goes on in the background does not keep us", "[util]") {
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = run_shell("sleep 600 & echo $!");
  CHECK(outcome.end.ok());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
  REQUIRE(outcome.lines.size() == 1);
  const auto pid = static_cast<pid_t>(parse_int(outcome.lines.front()).value());
  CHECK(::kill(pid, SIGKILL) == 0);
}

}  // namespace dbbackup::util
