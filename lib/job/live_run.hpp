// The live state of a queued or executing run; the Runner's own.
#pragma once

#include <optional>
#include <stop_token>

#include "job/runner.hpp"

namespace dbbackup::job {

// Threads: guarded by the runner's mutex, but for `request`, which never changes, and `progress`,
// which is atomic. The executing thread works on a copy of `run`.
struct Runner::Live {
  Run run;
  Request request;
  StartHours hours;
  util::Progress progress;

  // Of the attempt that executes.
  bool executing = false;
  std::stop_source stop;  // of the pre-hook and the verb
  std::stop_source stop_post_hook;
  std::optional<util::Error> over_limit;  // why the runner itself has asked it to stop
  bool cancelled = false;                 // somebody has asked for it
  bool verb_is_over = false;              // from now on a cancel is for the post-hook
  bool verb_runs = false;                 // between the hooks
  std::optional<util::SteadyPoint> started;
  util::SteadyPoint moved;  // when `movement` last changed
  std::uint64_t movement = 0;
  util::SteadyPoint wake_at;  // of one that waits to be tried again
};

void copy_progress(const util::Progress& progress, Run& run);

}  // namespace dbbackup::job
