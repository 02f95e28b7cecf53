// The verbs of the product, each as straight prose in a file of its own. A verb works on one run:
// it reads what was asked from run.request, tells its progress to the task, fills in run.artifact,
// run.warnings and run.result, and returns how it ended. Whatever it throws becomes the run's
// error.
//
// Threads: a verb runs on one thread of the job pool; workers inside engines and repositories are
// joined before it returns.
#pragma once

#include <string>

#include "catalog/types.hpp"
#include "job/request.hpp"
#include "job/services.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

using catalog::Run;
using catalog::RunState;

RunState back_up(Services& services, Run& run, const Request& request, util::Task& task);
RunState restore(Services& services, Run& run, const Request& request, util::Task& task);
// Restores to scratch and compares with the proof; a difference is verification_failed and names
// the tables.
RunState drill(Services& services, Run& run, const Request& request, util::Task& task);
// Reads and authenticates everything one artifact needs.
RunState verify(Services& services, Run& run, const Request& request, util::Task& task);
RunState check(Services& services, Run& run, const Request& request, util::Task& task);
RunState prune(Services& services, Run& run, const Request& request, util::Task& task);
// Rebuilds the chunk index and the catalog's artifacts from the store.
RunState rescan(Services& services, Run& run, const Request& request, util::Task& task);
RunState export_artifact(Services& services, Run& run, const Request& request, util::Task& task);
RunState import_artifact(Services& services, Run& run, const Request& request, util::Task& task);

// The verb for run.kind.
RunState perform(Services& services, Run& run, const Request& request, util::Task& task);

}  // namespace dbbackup::job
