// Backups of the control database itself, one series in each repository, so that a repository alone
// is enough to set a machine up again (`repository rescan`).
//
// They go through the SQLite engine like any other, under the reserved name `dbbackup-control`, on
// the heels of a backup that has just succeeded into the same repository: where nothing is backed
// up, there is nothing to come back to. Stored passwords are in them as they are in the control
// database: sealed with the daemon's key, which is in no repository.
#pragma once

#include <string>

#include "job/services.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

// Makes one when the newest there is older than services.maintenance.control_backup_every, and
// forgets the oldest. `run` is the run that does it. Errors: those of the engine and repository.
void back_up_control(Services& services, const std::string& repository, const std::string& run,
                     util::Task& task);

// Writes the newest one in the repository to `file`. False when there is none.
bool fetch_control(Services& services, const std::string& repository,
                   const std::filesystem::path& file, util::Task& task);

}  // namespace dbbackup::job
