// Tables of a PostgreSQL artifact for export; see engine::open_tables().
#pragma once

#include <memory>

#include "engine/engine.hpp"

namespace dbbackup::engine::postgresql {

// Requires: reader outlives the result.
std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader);

}  // namespace dbbackup::engine::postgresql
