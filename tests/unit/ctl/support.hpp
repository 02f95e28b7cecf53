// A daemon, a person and a screen for the client's tests: everything a Context needs, played by the
// test.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ctl/context.hpp"
#include "support/manual_clock.hpp"
#include "util/error.hpp"

namespace dbbackup::ctl::test {

class Stage {
 public:
  using Reply =
      std::function<util::json::Value(const std::string& method, const util::json::Object& params)>;

  explicit Stage(Reply reply) : reply_(std::move(reply)) {
    terminal.ask = [this](std::string_view question) { return answer(question); };
    terminal.ask_secret = terminal.ask;
  }

  // Runs one command line; returns its exit status, or that of the error it ended with.
  int run(const std::vector<std::string>& words) {
    Format format = find_format(words);
    try {
      const Invocation invocation = parse_arguments(words, "/home/somebody");
      format = invocation.format;
      Output output(out, err, terminal, format, invocation.quiet);
      return execute(invocation, context(output));
    } catch (const util::Error& error) {
      Output(out, err, terminal, format, false).error(error);
      return util::traits(error.code()).exit_status;
    }
  }

  Context context(Output& output) {
    return Context{.out = output,
                   .terminal = terminal,
                   .environment = environment,
                   .clock = clock,
                   .input = input,
                   .call =
                       [this](std::string_view method, const util::json::Object& params,
                              const control::Client::OnNotification& notified,
                              const control::Client::KeepWaiting& keep_waiting) {
                         calls.emplace_back(method, params);
                         if (during_call) {
                           const auto detached =
                               during_call(std::string(method), notified, keep_waiting);
                           if (detached) return util::json::Value(nullptr);
                         }
                         return reply_(std::string(method), params);
                       },
                   .watch_interrupts = [this] { return [this] { return interrupts; }; }};
  }

  Terminal terminal;
  Environment environment = [this](const char* name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  };
  std::map<std::string, std::string> variables;
  std::istringstream input;
  std::ostringstream out;
  std::ostringstream err;
  dbbackup::test::ManualClock clock{*util::parse_time("2026-11-21T12:00:00Z")};
  std::vector<std::pair<std::string, util::json::Object>> calls;
  std::vector<std::string> questions;
  std::vector<std::string> answers;  // given in this order
  int interrupts = 0;
  // Plays what happens while a call waits; true when the client detached.
  std::function<bool(const std::string& method, const control::Client::OnNotification&,
                     const control::Client::KeepWaiting&)>
      during_call;

 private:
  std::string answer(std::string_view question) {
    questions.emplace_back(question);
    if (answers.empty()) throw util::Error(util::ErrorCode::cancelled, "no answer was given");
    std::string first = answers.front();
    answers.erase(answers.begin());
    return first;
  }

  Reply reply_;
};

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dbbackup::ctl::test
