#include "engine/sqlite/checks.hpp"

#include <map>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
// Source: the message texts of PRAGMA integrity_check in SQLite 3.40 (pragma.c).
bool is_violation(std::string_view message) {
  return message.starts_with("NULL value in ") ||
         message.starts_with("CHECK constraint failed in ") || message.starts_with("non-") ||
         message.find(" value in ") != std::string_view::npos;
}
}  // namespace

CheckResult check_integrity(sqlite::Connection& connection, CheckLevel level) {
  CheckResult result;
  if (level == CheckLevel::none) return result;
  auto statement = connection.prepare(level == CheckLevel::quick ? "PRAGMA main.quick_check"
                                                                 : "PRAGMA main.integrity_check");
  while (statement.step()) {
    std::string message = util::printable(statement.text(0));
    if (message == "ok") continue;
    (is_violation(message) ? result.violations : result.damage).push_back(std::move(message));
  }
  return result;
}

std::vector<std::string> check_foreign_keys(sqlite::Connection& connection) {
  std::vector<std::string> sentences;
  std::map<std::string, std::uint64_t> counts;
  try {
    auto statement = connection.prepare("PRAGMA main.foreign_key_check");
    while (statement.step()) ++counts[statement.string(0)];
  } catch (const util::Error& error) {
    // "foreign key mismatch": the schema itself refers to something that cannot be referred to.
    if (error.code() != util::ErrorCode::io) throw;
    sentences.push_back(util::cat("foreign keys cannot be checked: ", error.message()));
  }
  for (const auto& [table, count] : counts) {
    sentences.push_back(util::cat("table ", util::printable(table), " has ", count,
                                  " rows whose foreign key refers to nothing"));
  }
  return sentences;
}

}  // namespace dbbackup::engine::sqlite_engine
