// Whether a run that did not succeed is tried again, and when.
//
// An attempt counts the same whether its verb failed or its daemon died. Tried again is what has an
// attempt left and an error whose code says that a retry makes sense; after an interruption only
// once, so that a run which takes the daemon down with it does not do so for ever.
//
// Threads: pure functions.
#pragma once

#include <optional>

#include "catalog/types.hpp"
#include "job/request.hpp"
#include "util/time.hpp"

namespace dbbackup::job {

// How long to wait before the attempt after this one; empty when there is none. `random01` spreads
// runs that failed together.
std::optional<util::Milliseconds> retry_delay(const catalog::Run& run, const Policy& policy,
                                              const catalog::RunError& error, double random01);

// The run, queued for its next attempt; what the attempt so far has shown is noted with it.
// `state` is how that one ended: failed or interrupted.
catalog::Run next_attempt(catalog::Run run, catalog::RunState state, const catalog::RunError& error,
                          util::TimePoint now, util::Milliseconds delay);

// What becomes of a run whose daemon died: queued for one more attempt, or interrupted for good.
catalog::Run after_interruption(catalog::Run run, util::TimePoint now, double random01);

}  // namespace dbbackup::job
