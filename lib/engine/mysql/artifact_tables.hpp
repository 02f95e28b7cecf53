// Tables of a MySQL or MariaDB artifact for export; see engine::open_tables().
#pragma once

#include <memory>

#include "engine/engine.hpp"

namespace dbbackup::engine::mysql {

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader);

}  // namespace dbbackup::engine::mysql
