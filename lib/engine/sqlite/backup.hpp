// A SQLite file into an artifact: whole as its pages, or chosen tables as rows.
//
// Whole: streams schema/main (lines: the rows of sqlite_schema) and pages/main. Partial:
// schema/main with the chosen tables, and data/main.TABLE (lines, see row_line.hpp) for each table
// that has rows of its own, plus data/main.sqlite_sequence when one of them uses AUTOINCREMENT.
#pragma once

#include <string>

#include "engine/engine.hpp"
#include "engine/sqlite/checks.hpp"
#include "util/time.hpp"

namespace dbbackup::engine::sqlite_engine {

inline constexpr const char* kSchemaStream = "schema/main";
inline constexpr const char* kPagesStream = "pages/main";
inline constexpr const char* kSequenceTable = "sqlite_sequence";
std::string data_stream(const std::string& table);

struct SourceSettings {
  std::string path;
  util::Milliseconds busy_timeout{30000};
  std::uint32_t block_bytes = 0;  // unit of deduplication; 0: chosen by the size of the database
  CheckLevel check = CheckLevel::quick;
};

// Errors: source_damaged, with SQLite's findings; usage for a condition that is not SQL; those of
// open_snapshot() and choose().
repository::Summary back_up_file(const SourceSettings& source, const Scope& scope,
                                 repository::ArtifactWriter& writer, util::Task& task);

}  // namespace dbbackup::engine::sqlite_engine
