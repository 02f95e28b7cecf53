// Files of the control database that only the daemon's user may read.
//
// Errors: util::Error from system_error() and from SQLite, naming the path.
#pragma once

#include <filesystem>

#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// Makes sure that `file` exists with mode 0600 whatever the umask; its content stays.
void make_private_file(const std::filesystem::path& file);

// Writes a consistent copy of the database behind `db` to `target`, replacing it atomically and
// durably. Mode 0600. Requires: no open transaction. A copy cut short by a crash is `target` with
// ".part" added; the next one removes it.
void write_private_copy(sqlite::Connection& db, const std::filesystem::path& target);

}  // namespace dbbackup::catalog
