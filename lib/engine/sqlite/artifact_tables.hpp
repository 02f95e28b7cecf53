// Tables of a SQLite artifact for export; see engine::open_tables().
#pragma once

#include <memory>

#include "engine/engine.hpp"

namespace dbbackup::engine::sqlite_engine {

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader);

}  // namespace dbbackup::engine::sqlite_engine
