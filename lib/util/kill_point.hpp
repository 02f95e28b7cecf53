// Named points at which a test may have the process die as if by kill -9.
//
// The environment variable DBBACKUP_KILL_AT=NAME or NAME:N (the N-th passing) arms one of them; in
// normal use a point costs one comparison. They exist in release builds too, because the binaries
// that are shipped are the ones to be tested.
#pragma once

#include <string_view>

namespace dbbackup::util {

// Raises SIGKILL when armed for this name and count.
void kill_point(std::string_view name);

}  // namespace dbbackup::util
