// SQLite's own checks, sorted into what is damage and what is merely data that breaks a rule.
//
// A row that violates NOT NULL, CHECK or a STRICT type (possible through ALTER TABLE or
// ignore_check_constraints) and a reference without a parent row are states a database can be in; a
// backup keeps them and says so. A broken page is damage.
#pragma once

#include <string>
#include <vector>

#include "sqlite/sqlite.hpp"

namespace dbbackup::engine::sqlite_engine {

enum class CheckLevel { none, quick, full };

struct CheckResult {
  std::vector<std::string> damage;
  std::vector<std::string> violations;
};

// quick: the structure of every page; full: also that indexes agree with their tables, some ten
// times slower.
CheckResult check_integrity(sqlite::Connection& connection, CheckLevel level);

// One sentence per table with rows that refer to nothing.
std::vector<std::string> check_foreign_keys(sqlite::Connection& connection);

}  // namespace dbbackup::engine::sqlite_engine
