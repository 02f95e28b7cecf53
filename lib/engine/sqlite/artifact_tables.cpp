#include "engine/sqlite/artifact_tables.hpp"

#include <utility>

#include "engine/sqlite/dialect.hpp"
#include "engine/sqlite/restore.hpp"
#include "engine/sqlite/row_line.hpp"
#include "engine/sqlite/table_source.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {

class SqliteArtifactTables final : public ArtifactTables {
 public:
  explicit SqliteArtifactTables(repository::ArtifactReader& reader) : reader_(reader) {}

  // A virtual table's statement would create its shadow tables, which come with rows of their own: so it is entered into the
  // schema after them, as the shell's .dump does it.
  void schema(const std::function<void(const std::string&, bool)>& each) override {
    util::QuietTask quiet;
    const auto source = open_table_source(reader_, quiet.task());
    for (const bool after_data : {false, true}) {
      for (const SchemaEntry& entry : source->schema().entries) {
        const bool table = entry.type == "table" && !entry.is_virtual;
        if (table == after_data || entry.sql.empty() || is_internal(entry.name)) continue;
        if (entry.is_virtual) {
          each("PRAGMA writable_schema=ON", after_data);
          each(util::cat("INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table',",
                         sqlite::quote_text(entry.name), ",", sqlite::quote_text(entry.name), ",0,",
                         sqlite::quote_text(entry.sql), ")"),
               after_data);
          each("PRAGMA writable_schema=OFF", after_data);
          continue;
        }
        each(entry.sql, after_data);
      }
    }
  }

  void rows(const Scope& scope, RowSink& sink, util::Task& task) override {
    const auto source = open_table_source(reader_, task);
    std::vector<StoredTable> chosen = choose(source->schema(), scope).tables;
    std::erase_if(chosen, [](const StoredTable& table) { return is_internal(table.name); });
    task.progress().streams_total += chosen.size();
    for (const StoredTable& table : chosen) {
      write(*source, table, condition_of(scope, table.name), sink, task);
      ++task.progress().streams_done;
    }
  }

  const SqlDialect* dialect() const override { return &dialect_; }

  void write_native(const std::string& path, util::Task& task) override {
    write_database_file(path, reader_, task);
  }

 private:
  // A rowid that no column shows is not part of what users call the row.
  static void write(TableSource& source, const StoredTable& table, const std::string& condition,
                    RowSink& sink, util::Task& task) {
    TableData data{table.name, {}, {}};
    for (const Column& column : table.columns) {
      data.columns.push_back(column.name);
      data.generated.push_back(column.generated);
    }
    sink.begin_table(data);
    std::vector<Field> fields;
    source.rows(
        table, condition,
        [&](std::string_view line) {
          decode_row(line, fields);
          if (table.rowid_is_hidden) fields.erase(fields.begin());
          sink.row(fields);
          if ((++task.progress().rows & 0x3ffU) == 0) task.check();
        },
        task);
    sink.end_table();
  }

  repository::ArtifactReader& reader_;
  const SqliteDialect dialect_;
};
}  // namespace

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader) {
  return std::make_unique<SqliteArtifactTables>(reader);
}

}  // namespace dbbackup::engine::sqlite_engine
