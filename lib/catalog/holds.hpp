// Holds, for callers that are inside a transaction already.
//
// Threads: functions on the caller's connection.
#pragma once

#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// Holds on the artifact that are not over at `now`, oldest first.
std::vector<Hold> holds_in_force(sqlite::Connection& db, const std::string& artifact,
                                 util::TimePoint now);

}  // namespace dbbackup::catalog
