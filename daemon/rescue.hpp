// `dbbackupd rescue`: lists and restores artifacts on a bare host, with nothing but the repository
// and a recovery key.
#pragma once

namespace dbbackup::daemon {

// argv[0] is "rescue". Returns the exit status. Errors: usage, and those of the repository and
// engine.
int rescue(int argc, const char* const* argv);

}  // namespace dbbackup::daemon
