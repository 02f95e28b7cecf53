#include "engine/sqlite/table_source.hpp"

#include <algorithm>

#include "engine/sqlite/artifact_pages.hpp"
#include "engine/sqlite/backup.hpp"
#include "engine/sqlite/row_line.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;
using LineSink = std::function<void(std::string_view line)>;

void select_lines(sqlite::Connection& connection, const std::string& sql, const LineSink& each) {
  auto statement = connection.prepare(sql);
  const int columns = statement.column_count();
  std::string line;
  while (statement.step()) {
    encode_row(statement, columns, line);
    each(line);
  }
}

class PageTables final : public TableSource {
 public:
  PageTables(repository::ArtifactReader& reader, const util::Task& task)
      : pages_(reader, task.stop()), session_(pages_.source().open(), task.stop()) {
    schema_ = pages_.source().run([&] { return read_schema(session_.connection()); });
  }

  const Schema& schema() const override { return schema_; }

  void rows(const StoredTable& table, const std::string& condition, const LineSink& each,
            util::Task& task) override {
    pages_.source().run(
        [&] { select_lines(session_.connection(), table.select(condition), each); });
    task.check();
  }

  void sequences(const LineSink& each, util::Task& task) override {
    for (const StoredTable& table : schema_.tables) {
      if (table.name != kSequenceTable) continue;
      pages_.source().run([&] {
        select_lines(session_.connection(), "SELECT name, seq FROM main.sqlite_sequence", each);
      });
    }
    task.check();
  }

 private:
  ArtifactPages pages_;
  Session session_;
  Schema schema_;
};

class LineTables final : public TableSource {
 public:
  LineTables(repository::ArtifactReader& reader, util::Task& task) : reader_(reader) {
    // SQLite itself is the parser of the stored DDL.
    sqlite::Connection scratch(":memory:", sqlite::OpenMode::create);
    Schema stored;
    stored.entries = read_entries(task);
    create_tables(scratch, stored);
    schema_ = read_schema(scratch);
    std::erase_if(schema_.tables, [](const StoredTable& table) { return is_internal(table.name); });
    schema_.entries = std::move(stored.entries);
  }

  const Schema& schema() const override { return schema_; }

  void rows(const StoredTable& table, const std::string& condition, const LineSink& each,
            util::Task& task) override {
    if (!condition.empty()) {
      throw Error(ErrorCode::unsupported,
                  "a condition cannot be applied to rows of a partial artifact",
                  "restore the table and delete what is not wanted");
    }
    stream_lines(data_stream(table.name), each, task);
  }

  void sequences(const LineSink& each, util::Task& task) override {
    const std::string name = data_stream(kSequenceTable);
    if (has_stream(reader_, name)) stream_lines(name, each, task);
  }

 private:
  void stream_lines(const std::string& name, const LineSink& each, util::Task& task) {
    const auto take = [&](std::uint64_t, util::ByteView piece) {
      std::string_view rest = util::as_text(piece);
      while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) {
          throw Error(ErrorCode::verification_failed,
                      cat("stream ", util::printable(name), " ends inside a row"));
        }
        each(rest.substr(0, end));
        rest.remove_prefix(end + 1);
      }
    };
    reader_.open(name)->read_all(take, 2, task);
  }

  std::vector<SchemaEntry> read_entries(util::Task& task) {
    std::vector<SchemaEntry> entries;
    std::vector<Field> fields;
    stream_lines(
        kSchemaStream,
        [&](std::string_view line) {
          decode_row(line, fields);
          if (fields.size() != 4) {
            throw Error(ErrorCode::verification_failed,
                        cat("stream ", kSchemaStream, " has a malformed row"));
          }
          const bool is_virtual = util::to_lower(fields[3].value.substr(0, 14)) == "create virtual";
          entries.push_back(
              {fields[0].value, fields[1].value, fields[2].value, fields[3].value, is_virtual});
        },
        task);
    return entries;
  }

  repository::ArtifactReader& reader_;
  Schema schema_;
};

// What the module of a virtual table would do is done already; only the line in sqlite_schema is
// missing. `.dump` of the sqlite3 shell restores virtual tables in the same way.
void enter_virtual_table(sqlite::Connection& connection, const SchemaEntry& entry) {
  connection.execute("PRAGMA writable_schema=ON");
  connection
      .prepare(
          "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, "
          "0, ?)")
      .bind(1, entry.name)
      .bind(2, entry.table)
      .bind(3, entry.sql)
      .run();
  connection.execute("PRAGMA writable_schema=RESET");
}
}  // namespace

std::unique_ptr<TableSource> open_table_source(repository::ArtifactReader& reader,
                                               util::Task& task) {
  if (has_stream(reader, kPagesStream)) return std::make_unique<PageTables>(reader, task);
  return std::make_unique<LineTables>(reader, task);
}

void create_tables(sqlite::Connection& connection, const Schema& schema) {
  for (const SchemaEntry& entry : schema.entries) {
    if (entry.type == "table" && !entry.is_virtual && !is_internal(entry.name)) {
      connection.execute(entry.sql);
    }
  }
  // Afterwards: a virtual table in the schema protects the names of its shadow tables.
  bool any = false;
  for (const SchemaEntry& entry : schema.entries) {
    if (entry.type != "table" || !entry.is_virtual) continue;
    enter_virtual_table(connection, entry);
    any = true;
  }
  if (!any) return;
  // Tells other connections that the schema has changed, as CREATE would have done.
  auto version = connection.prepare("PRAGMA schema_version");
  version.step();
  const std::int64_t next = version.integer(0) + 1;
  version.reset();
  connection.execute(cat("PRAGMA schema_version=", next));
}

void create_rest(sqlite::Connection& connection, const Schema& schema) {
  for (const char* type : {"index", "view", "trigger"}) {
    for (const SchemaEntry& entry : schema.entries) {
      if (entry.type != type || entry.sql.empty()) continue;
      try {
        connection.execute(entry.sql);
      } catch (const Error& error) {
        throw error.with_context(cat("creating ", entry.type, " ", util::printable(entry.name)));
      }
    }
  }
}

}  // namespace dbbackup::engine::sqlite_engine
