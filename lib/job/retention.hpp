// Retention with the facts of the catalog: which artifacts each job keeps and which go.
//
// The rules are repository::apply_retention()'s; this file brings what they are about: the job's
// policy and calendar, holds, proofs, what runs are using, and the reasons to remove nothing at all
// (the newest run failed, an artifact is suspicious). Artifacts without a job are never removed.
#pragma once

#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "job/services.hpp"
#include "repository/retention.hpp"
#include "util/json.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

struct JobRetention {
  std::string job;                           // empty: artifacts that were made without one
  std::vector<catalog::Artifact> artifacts;  // newest first, of all repositories
  repository::Retention verdict;
};

// `succeeded` is a run that is about to end well and is still `running` in the catalog. Copies of
// the control database are planned per repository, everything else over all of them.
JobRetention plan_retention(Services& services, const std::string& job,
                            const std::string& succeeded = {}, const std::string& repository = {});
// Of every job that has an artifact there.
std::vector<JobRetention> plan_repository_retention(Services& services,
                                                    const std::string& repository);

// Removes what the plan lets go and is in this repository, with an event for each. An artifact that
// has been held or removed since the plan was made is passed over. Returns how many went.
std::size_t apply_retention(Services& services, const JobRetention& plan,
                            const std::string& repository, util::Task& task);

// What a prune would do with each artifact of the repository: id, job, action, reasons, ...
util::json::Array retention_report(const std::vector<JobRetention>& plans,
                                   const std::string& repository);

}  // namespace dbbackup::job
