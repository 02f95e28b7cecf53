// The columns of `jobs` that say how a job is doing, so that status reads 1,000 jobs without
// looking at 10,000 runs.
//
// They are never counted up but looked up again, through an index, in the transaction that changed
// a run or an artifact: they cannot drift.
//
// Threads: functions on the caller's connection.
#pragma once

#include <string>

#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// Last run: the newest backup run of the job, ended or not. Last success: the newest artifact that
// is not known to be damaged. A name without a job is fine: artifacts may outlive or precede their
// job.
void refresh_job_summary(sqlite::Connection& db, const std::string& job);

}  // namespace dbbackup::catalog
