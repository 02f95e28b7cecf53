// The tables of an artifact, whichever way they are stored: as pages or as rows. Restoring chosen
// tables and exporting both read from here, and both see rows as the lines of row_line.hpp.
//
// Threads: one object belongs to one thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "engine/sqlite/schema.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::sqlite_engine {

class TableSource {
 public:
  virtual ~TableSource() = default;
  virtual const Schema& schema() const = 0;
  // Calls `each` with every row that meets the condition, without its newline.
  // Errors: unsupported for a condition on rows that are stored as lines.
  virtual void rows(const StoredTable& table, const std::string& condition,
                    const std::function<void(std::string_view line)>& each, util::Task& task) = 0;
  // Calls `each` with the counters of AUTOINCREMENT tables.
  virtual void sequences(const std::function<void(std::string_view line)>& each,
                         util::Task& task) = 0;
};

// Requires: reader outlives the result.
std::unique_ptr<TableSource> open_table_source(repository::ArtifactReader& reader,
                                               util::Task& task);

// Runs the CREATE TABLE statements of a schema; virtual tables are entered without their module
// creating anything, because their shadow tables come as tables of their own.
void create_tables(sqlite::Connection& connection, const Schema& schema);
// Indexes, triggers and views, after the rows. Names what could not be created, with the reason.
void create_rest(sqlite::Connection& connection, const Schema& schema);

}  // namespace dbbackup::engine::sqlite_engine
