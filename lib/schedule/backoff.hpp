// How long to wait before trying again.
//
// Threads: a pure function.
#pragma once

#include "util/time.hpp"

namespace dbbackup::schedule {

// The delay after the `attempt`-th failure (1 is the first): `base` doubled with each attempt, at
// most `cap`, of which the upper half is left to chance so that callers who failed together do not
// come back together. Requires: random01 in [0, 1]; base and cap not negative.
util::Milliseconds backoff_delay(int attempt, util::Milliseconds base, util::Milliseconds cap,
                                 double random01);

}  // namespace dbbackup::schedule
