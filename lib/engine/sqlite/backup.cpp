#include "engine/sqlite/backup.hpp"

#include <algorithm>
#include <mutex>

#include "engine/sqlite/proof.hpp"
#include "engine/sqlite/row_line.hpp"
#include "engine/sqlite/schema.hpp"
#include "engine/sqlite/session.hpp"
#include "sqlite/page_stream.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using repository::ArtifactWriter;
using repository::StreamKind;
using repository::Summary;
using util::cat;
using util::Error;
using util::ErrorCode;

// Blocks are what is deduplicated and compressed: small ones store less after scattered changes,
// large ones compress better and cost less per byte. Measured on 1 GiB of orders (zstd level 3):
// 128 KiB 2.25 : 1, 1 MiB 2.81 : 1, the whole file 3.01 : 1. A small database does not feel its
// ratio, a large one does. Both are multiples of every page size.
constexpr std::uint32_t kSmallBlock = 128 * 1024;
constexpr std::uint32_t kLargeBlock = 1024 * 1024;
constexpr std::uint64_t kLargeDatabase = std::uint64_t{256} << 20U;

std::uint32_t block_bytes_for(const SourceSettings& source, std::uint64_t database_bytes) {
  if (source.block_bytes != 0) return source.block_bytes;
  return database_bytes < kLargeDatabase ? kSmallBlock : kLargeBlock;
}
// From here on the lock of a rollback-journal database is held long enough to be felt by writers.
constexpr std::uint64_t kLongLockBytes = std::uint64_t{256} << 20U;

// Writes the rows of one SELECT as a stream; returns their hash.
repository::RowHash write_rows(sqlite::Connection& connection, const std::string& sql,
                               const std::string& stream_name,
                               const std::vector<std::string>& columns, ArtifactWriter& writer,
                               util::Task& task) {
  const auto stream = writer.open(stream_name, StreamKind::lines, {.columns = columns});
  repository::RowHash hash;
  std::string line;
  auto statement = connection.prepare(sql);
  const int count = statement.column_count();
  while (statement.step()) {
    encode_row(statement, count, line);
    hash.add(util::as_bytes(line));
    line += '\n';
    stream->write(util::as_bytes(line));
    stream->end_row();
  }
  stream->close();
  ++task.progress().streams_done;
  return hash;
}

void write_schema(sqlite::Connection& connection, const std::string& sql, ArtifactWriter& writer,
                  util::Task& task) {
  write_rows(connection, sql, kSchemaStream, {"type", "name", "tbl_name", "sql"}, writer, task);
}

// Rows of the user's tables: the schema is proved like one but is none.
std::uint64_t rows_of(const std::vector<repository::TableProof>& proofs) {
  std::uint64_t rows = 0;
  for (const auto& proof : proofs) rows += proof.name == kSchemaProof ? 0 : proof.hash.rows();
  return rows;
}

Summary describe(sqlite::Connection& connection) {
  Summary summary;
  summary.server_version = sqlite::library_version();
  summary.consistency_kind = "snapshot";
  auto& facts = summary.engine_data;
  for (const char* name : {"page_size", "page_count", "auto_vacuum", "user_version",
                           "application_id", "schema_version"}) {
    facts[name] = pragma_integer(connection, name);
  }
  facts["encoding"] = pragma_text(connection, "encoding");
  facts["journal_mode"] = pragma_text(connection, "journal_mode");
  return summary;
}

// Collects what the check of a source finds; units run on other threads.
class SourceCheck {
 public:
  explicit SourceCheck(const SourceSettings& source) : source_(source) {}

  void run(sqlite::Connection& connection) {
    CheckResult result = check_integrity(connection, source_.check);
    const std::scoped_lock lock(mutex_);
    result_ = std::move(result);
    if (result_.damage.empty()) return;
    throw Error(ErrorCode::source_damaged,
                cat("database ", source_.path, " is damaged: ", result_.damage.front(),
                    result_.damage.size() > 1 ? cat(" (and ", result_.damage.size() - 1, " more)")
                                              : std::string()),
                "recover it with `sqlite3 FILE .recover` or restore the last good artifact");
  }
  const std::vector<std::string>& violations() const { return result_.violations; }

 private:
  const SourceSettings& source_;
  std::mutex mutex_;
  CheckResult result_;
};

void tell_about_locks(const SourceSettings& source, const Summary& summary, std::uint64_t bytes,
                      util::Task& task) {
  if (*util::json::get_string(summary.engine_data, "journal_mode") == "wal") return;
  if (bytes < kLongLockBytes) return;
  task.info(cat(source.path, " uses a rollback journal: its writers wait while ",
                util::format_size(bytes), " are read; in WAL mode they would not"));
}

Summary back_up_whole(const SourceSettings& source, Sessions& sessions, const Scope& scope,
                      ArtifactWriter& writer, util::Task& task) {
  sqlite::Connection& first = sessions.front();
  const Schema schema = read_schema(first);
  Summary summary = describe(first);
  const auto bytes =
      static_cast<std::uint64_t>(*util::json::get_int(summary.engine_data, "page_size") *
                                 *util::json::get_int(summary.engine_data, "page_count"));
  tell_about_locks(source, summary, bytes, task);
  task.progress().bytes_total = bytes;
  task.progress().streams_total = 2;
  write_schema(first, schema_select(), writer, task);

  SourceCheck check(source);
  Proof proof(schema, scope, task);
  sqlite::PageCopy copy;
  std::vector<Unit> units = proof.units(first);
  // The copy first: it is what stores must wait for. The check second, so that damage is found
  // early.
  units.insert(units.begin(), [&](sqlite::Connection& connection, const std::stop_token&) {
    check.run(connection);
  });
  units.insert(units.begin(), [&](sqlite::Connection& connection, const std::stop_token& stop) {
    const std::uint32_t block_bytes = block_bytes_for(source, bytes);
    const auto stream = writer.open(kPagesStream, StreamKind::pages, {.block_bytes = block_bytes});
    const auto take = [&](std::uint64_t number, util::ByteView block) {
      stream->write_block(number, block);
      task.progress().bytes += block.size();
    };
    copy = sqlite::copy_pages(connection, block_bytes, take, stop);
    stream->close();
    ++task.progress().streams_done;
  });
  run_units(sessions, units, task);

  summary.consistency_position = cat("change counter ", copy.header.change_counter, ", schema ",
                                     *util::json::get_int(summary.engine_data, "schema_version"));
  summary.proof = proof.result();
  summary.rows = rows_of(summary.proof);
  summary.warnings = check.violations();
  return summary;
}

std::string ordered_select(const StoredTable& table, const std::string& condition) {
  std::string sql = table.select(condition);
  if (!table.rowid.empty()) sql += cat(" ORDER BY ", sqlite::quote_identifier(table.rowid));
  return sql;
}

void require_valid_conditions(sqlite::Connection& connection, const Schema& part,
                              const Scope& scope) {
  for (const StoredTable& table : part.tables) {
    const std::string condition = condition_of(scope, table.name);
    if (condition.empty()) continue;
    try {
      connection.prepare(table.select(condition));
    } catch (const Error& error) {
      throw Error(
          ErrorCode::usage,
          cat("the condition for table ", util::printable(table.name), ": ", error.message()),
          "a condition is what follows WHERE, for example \"created > '2026-01-01'\"");
    }
  }
}

std::string in_list(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const std::string& name : names) quoted.push_back(sqlite::quote_text(name));
  return cat("(", util::join(quoted, ","), ")");
}

bool has_table(const Schema& schema, std::string_view name) {
  return std::any_of(schema.tables.begin(), schema.tables.end(),
                     [&](const StoredTable& table) { return table.name == name; });
}

Summary back_up_part(Sessions& sessions, const Scope& scope, ArtifactWriter& writer,
                     util::Task& task) {
  sqlite::Connection& first = sessions.front();
  const Schema schema = read_schema(first);
  const Schema part = choose(schema, scope);
  require_valid_conditions(first, part, scope);
  std::vector<std::string> names;
  for (const StoredTable& table : part.tables) {
    if (!util::is_valid_utf8(table.name)) {
      throw Error(ErrorCode::unsupported,
                  cat("the table name ", util::printable(table.name), " is not UTF-8"),
                  "back up the whole database instead of chosen tables");
    }
    names.push_back(table.name);
  }
  Summary summary = describe(first);
  summary.consistency_position =
      cat("schema ", *util::json::get_int(summary.engine_data, "schema_version"));
  task.progress().streams_total = part.tables.size() + 1;
  std::vector<std::string> objects;
  std::vector<std::string> owners;
  for (const SchemaEntry& entry : part.entries) {
    objects.push_back(entry.name);
    owners.push_back(entry.table);
  }
  // Both conditions: triggers and tables may share a name.
  write_schema(first,
               cat("SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE name IN ",
                   in_list(objects), " AND tbl_name IN ", in_list(owners), " ORDER BY rowid"),
               writer, task);

  std::vector<repository::TableProof> proofs(part.tables.size());
  std::vector<Unit> units;
  for (std::size_t i = 0; i < part.tables.size(); ++i) {
    units.push_back([&, i](sqlite::Connection& connection, const std::stop_token&) {
      const StoredTable& table = part.tables[i];
      proofs[i] = {table.name,
                   write_rows(connection, ordered_select(table, condition_of(scope, table.name)),
                              data_stream(table.name), table.fields(), writer, task)};
      task.progress().rows += proofs[i].hash.rows();
    });
  }
  if (has_table(schema, kSequenceTable)) {
    ++task.progress().streams_total;
    units.push_back([&](sqlite::Connection& connection, const std::stop_token&) {
      write_rows(connection,
                 cat("SELECT name, seq FROM main.sqlite_sequence WHERE name IN ", in_list(names),
                     " ORDER BY rowid"),
                 data_stream(kSequenceTable), {"name", "seq"}, writer, task);
    });
  }
  run_units(sessions, units, task);
  summary.proof = std::move(proofs);
  summary.rows = rows_of(summary.proof);
  return summary;
}
}  // namespace

std::string data_stream(const std::string& table) { return "data/main." + table; }

Summary back_up_file(const SourceSettings& source, const Scope& scope, ArtifactWriter& writer,
                     util::Task& task) {
  // Two at least: one copies while the other reads for the proof.
  Sessions sessions =
      open_snapshot(source.path, std::max(2U, scope.parallel), source.busy_timeout, task);
  return scope.everything() ? back_up_whole(source, sessions, scope, writer, task)
                            : back_up_part(sessions, scope, writer, task);
}

}  // namespace dbbackup::engine::sqlite_engine
