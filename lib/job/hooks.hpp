// The commands a job runs before and after each attempt of a backup.
//
// They run as the daemon's user through /bin/sh, with an environment of their own: PATH, HOME and
// the like are passed on, DBBACKUP_... describe the run, and nothing else of the daemon's
// environment gets through, so that neither its credentials nor its line to systemd can leak. Their
// output goes into the run's log. They are part of the run: cancelling or the end of their time
// ends them with everything they have started.
//
// Threads: the caller's thread waits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "util/error.hpp"
#include "util/task.hpp"
#include "util/time.hpp"

namespace dbbackup::job {

struct Hook {
  std::string command;
  util::Milliseconds timeout;
};

// Before the database is touched. Errors: unavailable for exit status 75 (the command asks for a
// retry), refused for any other failure of the command, timed_out, cancelled.
void run_pre_hook(const Hook& hook, const catalog::Run& run, const util::Clock& clock,
                  util::Task& task);

// After the attempt, however it ended; run.state and run.error tell. A failure cannot undo what is
// done, so it is answered as a warning.
std::optional<std::string> run_post_hook(const Hook& hook, const catalog::Run& run,
                                         const util::Clock& clock, util::Task& task);

// What the command sees, as NAME=VALUE.
std::vector<std::string> hook_environment(const catalog::Run& run, std::string_view moment);

}  // namespace dbbackup::job
