#include "job/hooks.hpp"

#include <array>
#include <cstdlib>

#include "util/kill_point.hpp"
#include "util/subprocess.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr int kTemporaryFailure = 75;  // Source: sysexits(3), EX_TEMPFAIL
constexpr int kNotFound = 127;         // Source: POSIX sh, 2.8.2

// What a program may need to work at all. Everything else stays here: the list of what must not
// get out (credentials, sockets of systemd) could never be complete.
constexpr std::array<const char*, 11> kPassedOn{"PATH",        "HOME", "USER",   "LOGNAME",
                                                "SHELL",       "LANG", "LC_ALL", "LC_CTYPE",
                                                "LC_MESSAGES", "TZ",   "TMPDIR"};

util::CommandEnd run_hook(const Hook& hook, const catalog::Run& run, std::string_view moment,
                          const util::Clock& clock, util::Task& task) {
  const util::Command command{{"/bin/sh", "-c", hook.command}, hook_environment(run, moment)};
  util::CommandLimits limits{.timeout = hook.timeout};
  task.info(cat(moment, "-hook: started"));
  const util::CommandEnd end =
      util::run_command(command, limits, clock, task.stop(), [&](std::string_view line) {
        util::kill_point("run.hook_output");
        task.info(cat(moment, "-hook: ", line));
      });
  if (end.lines_left_out > 0) {
    task.warn(cat(moment, "-hook: ", end.lines_left_out, " more lines of output are not kept"));
  }
  return end;
}

// Empty when it went well.
std::optional<Error> problem_of(const util::CommandEnd& end, const Hook& hook,
                                std::string_view moment) {
  if (end.ok()) return std::nullopt;
  if (end.stopped) return Error(ErrorCode::cancelled, cat("the ", moment, "-hook was stopped"));
  if (end.timed_out) {
    return Error(
        ErrorCode::timed_out,
        cat("the ", moment, "-hook took longer than ", util::format_duration(hook.timeout)),
        "see its output in 'dbbackupctl run log', or give it more time with --hook-timeout");
  }
  if (!end.exit_status) {
    return Error(ErrorCode::refused, cat("the ", moment, "-hook was ended by signal ", end.signal));
  }
  const std::string what = cat("the ", moment, "-hook failed with exit status ", *end.exit_status);
  if (*end.exit_status == kTemporaryFailure) return Error(ErrorCode::unavailable, what);
  return Error(ErrorCode::refused, what,
               *end.exit_status == kNotFound
                   ? "is the command there, with its whole path, for the daemon's user?"
                   : "see its output in 'dbbackupctl run log'");
}
}  // namespace

std::vector<std::string> hook_environment(const catalog::Run& run, std::string_view moment) {
  std::vector<std::string> environment;
  for (const char* name : kPassedOn) {
    if (const char* value = std::getenv(name)) environment.push_back(cat(name, "=", value));
  }
  const auto add = [&](std::string_view name, std::string_view value) {
    environment.push_back(cat("DBBACKUP_", name, "=", value));
  };
  add("HOOK", moment);
  add("RUN_ID", run.id);
  add("KIND", catalog::run_kind_name(run.kind));
  add("JOB", run.job);
  add("DATABASE", run.database);
  add("REPOSITORY", run.repository);
  add("SCHEDULE", run.schedule);
  add("TYPE", run.type);
  add("ATTEMPT", std::to_string(run.attempt));
  add("STATE", catalog::run_state_name(run.state));
  add("ARTIFACT", run.artifact);
  add("ERROR_CODE", run.error ? run.error->code : "");
  add("ERROR_MESSAGE", run.error ? util::printable(run.error->message) : "");
  return environment;
}

void run_pre_hook(const Hook& hook, const catalog::Run& run, const util::Clock& clock,
                  util::Task& task) {
  if (hook.command.empty()) return;
  if (const auto problem = problem_of(run_hook(hook, run, "pre", clock, task), hook, "pre")) {
    throw *problem;
  }
}

std::optional<std::string> run_post_hook(const Hook& hook, const catalog::Run& run,
                                         const util::Clock& clock, util::Task& task) {
  if (hook.command.empty()) return std::nullopt;
  try {
    const auto problem = problem_of(run_hook(hook, run, "post", clock, task), hook, "post");
    if (!problem) return std::nullopt;
    task.warn(problem->message());
    return problem->message();
  } catch (...) {
    return cat("the post-hook could not run: ", util::current_error().message());
  }
}

}  // namespace dbbackup::job
