// Events for callers that are inside a transaction already.
//
// Threads: functions on the caller's connection.
#pragma once

#include "catalog/types.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// Requires: id and time are set. One with this id stays as it is.
void insert_absent(sqlite::Connection& db, const Event& event);

}  // namespace dbbackup::catalog
