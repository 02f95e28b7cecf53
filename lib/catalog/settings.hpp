// Settings of the daemon itself, for callers that are inside a transaction already.
//
// Threads: functions on the caller's connection.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

std::optional<std::string> read_setting(sqlite::Connection& db, std::string_view key);
void write_setting(sqlite::Connection& db, std::string_view key, std::string_view value);

}  // namespace dbbackup::catalog
