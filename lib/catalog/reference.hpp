// The ways to name an artifact: its id, the beginning of it, `latest`, `latest:JOB`, `latest@TIME`,
// `latest:JOB@TIME`. TIME means: as things were then, so the newest artifact sealed at or before
// it.
//
// Threads: a function on the caller's connection.
#pragma once

#include <string>
#include <string_view>

#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// The id of the artifact that `reference` names. Errors: not_found, saying what there is instead;
// usage.
std::string resolve_artifact(sqlite::Connection& db, std::string_view reference);

}  // namespace dbbackup::catalog
