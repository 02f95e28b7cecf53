// dbbackupctl: reads what was typed, asks the daemon, shows the answer.

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

#include "ctl/arguments.hpp"
#include "ctl/completion.hpp"
#include "ctl/context.hpp"
#include "ctl/help.hpp"
#include "util/error.hpp"

namespace dbbackup::ctl {

namespace {

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// `dbbackupctl __complete -- WORD...`, called by the completion scripts.
int run_completion(const std::vector<std::string>& words, const Environment& environment) {
  const auto begin = words.size() > 1 && words[1] == "--" ? words.begin() + 2 : words.begin() + 1;
  const util::SystemClock clock;
  const Call call = call_daemon(choose_socket(std::nullopt, environment, file_exists));
  std::cout << completion_lines(complete({begin, words.end()}, names_from_daemon(call, clock)));
  return EXIT_SUCCESS;
}

int run_command(const Invocation& invocation, const Terminal& terminal, Output& output,
                const Environment& environment) {
  if (invocation.version) {
    output.line(version_text());
    return EXIT_SUCCESS;
  }
  if (invocation.help) {
    output.raw(help_text(invocation.words));
    return EXIT_SUCCESS;
  }
  const util::SystemClock clock;
  const Context context{
      .out = output,
      .terminal = terminal,
      .environment = environment,
      .clock = clock,
      .input = std::cin,
      .call = call_daemon(choose_socket(invocation.socket, environment, file_exists)),
      .watch_interrupts =
          [] {
            const auto counter = std::make_shared<InterruptCounter>();
            return [counter] { return counter->count(); };
          },
  };
  return execute(invocation, context);
}

int run(const std::vector<std::string>& words) {
  const Environment environment = process_environment();
  if (!words.empty() && words.front() == "__complete") return run_completion(words, environment);
  Invocation invocation;
  invocation.format = find_format(words);
  Terminal terminal = detect_terminal(environment, false);
  try {
    invocation = parse_arguments(words, std::filesystem::current_path());
    if (invocation.no_color) terminal = detect_terminal(environment, true);
    Output output(std::cout, std::cerr, terminal, invocation.format, invocation.quiet);
    return run_command(invocation, terminal, output, environment);
  } catch (...) {
    const util::Error error = util::current_error();
    Output(std::cout, std::cerr, terminal, invocation.format, invocation.quiet).error(error);
    return util::traits(error.code()).exit_status;
  }
}

}  // namespace

}  // namespace dbbackup::ctl

int main(int argc, char** argv) {
  const int status = dbbackup::ctl::run({argv + 1, argv + argc});
  std::cout.flush();
  // A result that did not reach its file or pipe is no success.
  return status == EXIT_SUCCESS && !std::cout ? EXIT_FAILURE : status;
}
