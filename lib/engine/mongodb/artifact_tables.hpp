#pragma once

#include <memory>

#include "engine/engine.hpp"

namespace dbbackup::engine::mongodb {

// Requires: reader outlives the result.
std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader);

}  // namespace dbbackup::engine::mongodb
