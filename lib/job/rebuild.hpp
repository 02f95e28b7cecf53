// A lost control database, made again from a repository that was added with a passphrase or a
// recovery key: databases, jobs, schedules, holds, proofs and history.
//
// The newest backup of the control database in the repository says all of it; where there is none,
// the manifests say how databases and jobs were set up. Passwords come back from neither, because
// the daemon key that sealed them is gone; schedules come back paused, because the machine they are
// from may still be alive. What this catalog has already is never changed.
#pragma once

#include <string>
#include <vector>

#include "job/services.hpp"
#include "repository/manifest.hpp"
#include "util/json.hpp"
#include "util/task.hpp"

namespace dbbackup::job {

// Since it was added as a repository that had been in use elsewhere, and until rebuild() is
// through.
bool needs_rebuild(catalog::Catalog& catalog, const std::string& repository_id);
void note_needs_rebuild(catalog::Catalog& catalog, const std::string& repository_id);

// Requires: the catalog has the repository's artifacts. What could not be made again is added to
// `warnings`. Returns how many of each noun were made.
util::json::Object rebuild(Services& services, const std::string& repository,
                           const std::vector<repository::Manifest>& manifests,
                           std::vector<std::string>& warnings, util::Task& task);

}  // namespace dbbackup::job
