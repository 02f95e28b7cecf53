// The anomaly gate: does a backup that succeeded look like its job's backups before?
//
// A table that vanished, a table that lost more than a share of its rows, and a database without a
// row may be what somebody wanted, or the first sign of a disaster whose backups would push the
// good ones out. Such an artifact is sealed all the same, but marked suspicious: retention removes
// nothing of its job until a person accepts it.
#pragma once

#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "job/services.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

// What is odd about `after`, in sentences; pure. `before` is the proof of the job's last artifact
// that was in order, null when there is none. Tables that the job's scope leaves out now are not
// missed.
std::vector<std::string> suspicions(const catalog::Job& job,
                                    const std::vector<repository::TableProof>* before,
                                    const std::vector<repository::TableProof>& after);

// Fills in summary.suspicions, and tells the task. Runs without a job are not judged: nobody knows
// what they were meant to hold.
void judge(Services& services, const catalog::Run& run, repository::Summary& summary,
           util::Task& task);

// The warning event of a suspicious artifact; nothing for any other.
void note_suspicions(Services& services, const catalog::Artifact& artifact);

}  // namespace dbbackup::job
