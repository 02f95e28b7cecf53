#include "job/retry.hpp"

#include <algorithm>

#include "schedule/backoff.hpp"
#include "util/error.hpp"

namespace dbbackup::job {

using catalog::Attempt;
using catalog::Run;
using catalog::RunError;
using catalog::RunState;

std::optional<util::Milliseconds> retry_delay(const Run& run, const Policy& policy,
                                              const RunError& error, double random01) {
  const auto code = util::error_code_from_name(error.code);
  if (run.attempt > policy.retries || !code || !util::traits(*code).retryable) return std::nullopt;
  return schedule::backoff_delay(static_cast<int>(run.attempt), policy.retry_delay,
                                 std::max(policy.retry_max_delay, policy.retry_delay), random01);
}

Run next_attempt(Run run, RunState state, const RunError& error, util::TimePoint now,
                 util::Milliseconds delay) {
  run.earlier_attempts.push_back({run.attempt, state, run.started_at, now, error});
  ++run.attempt;
  run.state = RunState::queued;
  run.start_after = now + delay;
  run.started_at.reset();
  run.finished_at.reset();
  run.heartbeat_at.reset();
  run.streams_done = run.streams_total = run.rows = run.bytes = run.bytes_total = 0;
  run.error.reset();
  run.result.clear();
  run.warnings.clear();
  return run;
}

Run after_interruption(Run run, util::TimePoint now, double random01) {
  // `unavailable`, because trying again makes sense.
  const RunError error{std::string(util::traits(util::ErrorCode::unavailable).name),
                       "the daemon stopped while it was running",
                       {}};
  const bool again =
      std::any_of(run.earlier_attempts.begin(), run.earlier_attempts.end(),
                  [](const Attempt& attempt) { return attempt.state == RunState::interrupted; });
  const auto delay =
      again ? std::nullopt : retry_delay(run, decode_request(run.request).policy, error, random01);
  if (delay) return next_attempt(std::move(run), RunState::interrupted, error, now, *delay);
  run.state = RunState::interrupted;
  run.finished_at = now;
  run.error = error;
  return run;
}

}  // namespace dbbackup::job
