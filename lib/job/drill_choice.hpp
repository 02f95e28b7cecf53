// Which artifact a scheduled drill proves.
#pragma once

#include <optional>
#include <string>

#include "catalog/catalog.hpp"

namespace dbbackup::job {

// Of a job: the newest artifact of each of the databases that the job has backed up, the one whose
// newest artifact has waited longest for a proof first; where those are proved, the newest unproved
// one; where all are proved, the one whose proof is oldest. Damaged ones wait for a person. Empty
// when there is nothing to drill.
std::optional<catalog::Artifact> choose_drill(catalog::Catalog& catalog, const std::string& job);

}  // namespace dbbackup::job
