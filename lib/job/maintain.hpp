// What the prune verb shares with `repository prune --dry-run`.
#pragma once

#include <optional>
#include <string>

#include "catalog/catalog.hpp"
#include "job/services.hpp"
#include "repository/repository.hpp"
#include "util/json.hpp"

namespace dbbackup::job {

// Start of the oldest run that is writing into the repository now; chunks condemned after it must
// stay.
std::optional<util::TimePoint> oldest_running_backup(catalog::Catalog& catalog,
                                                     const std::string& repository);

// Adds artifacts to the catalog whose manifests were written by a run that died before it could say
// so.
void reconcile(Services& services, const std::string& repository_name);

util::json::Object prune_report(const repository::PruneReport& report);

}  // namespace dbbackup::job
