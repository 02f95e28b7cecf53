// What the prune verb shares with `repository prune --dry-run`.
#pragma once

#include <optional>
#include <string>

#include "catalog/catalog.hpp"
#include "job/services.hpp"
#include "repository/repository.hpp"
#include "util/json.hpp"

namespace dbbackup::job {

// Start of the oldest run that uses the repository now, `except` aside: what was condemned after it
// must stay. Backups may be about to reuse it, restores and drills are reading it.
std::optional<util::TimePoint> oldest_running(catalog::Catalog& catalog,
                                              const std::string& repository,
                                              const std::string& except = {});

// Adds artifacts to the catalog whose manifests were written by a run that died before it could say
// so.
void reconcile(Services& services, const std::string& repository_name);

// What a prune would do now: the artifacts that retention keeps and removes, with the reasons, and
// the bytes that are freed once they are gone. Changes nothing.
util::json::Object plan_prune(Services& services, const std::string& repository, util::Task& task);

}  // namespace dbbackup::job
