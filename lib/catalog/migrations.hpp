// Schema versions of the control database as data, and the one way to bring a file to the newest of
// them.
//
// A file is ours when its application_id says so; its version is SQLite's user_version. An older
// file is copied to `FILE.before-vN` (N: the version it is taken to) and then changed in one
// transaction, so that at any instant there is either the old schema, or the new one and the copy.
//
// Threads: functions on the caller's connection.
// Errors: config_invalid for a file of another program or of a newer version.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// "dbbk" as a big-endian number.
inline constexpr std::int64_t kApplicationId = 0x6462626b;

// SQL that takes a database from version - 1 to version. Once released, a migration never changes.
struct Migration {
  int version;
  std::string_view sql;
};

// In ascending order without gaps, beginning with 1.
std::span<const Migration> migrations();

// Brings the database behind `db` to the newest of `wanted`. Foreign keys are off meanwhile,
// because a migration may rebuild a table, and are checked before the commit. Requires: `wanted` is
// not empty and ordered as above; no open transaction; `file` is absolute and what `db` has open.
void apply(sqlite::Connection& db, const std::filesystem::path& file,
           std::span<const Migration> wanted);

}  // namespace dbbackup::catalog
