// Row by row into a database: tables, rows, then indexes, views and triggers, in one transaction.
#include <algorithm>
#include <optional>
#include <set>

#include "engine/sqlite/artifact_pages.hpp"
#include "engine/sqlite/backup.hpp"
#include "engine/sqlite/proof.hpp"
#include "engine/sqlite/restore.hpp"
#include "engine/sqlite/row_line.hpp"
#include "engine/sqlite/table_source.hpp"
#include "engine/sqlite/target_file.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Rows between two looks at the stop token and the progress.
constexpr std::uint64_t kRowsPerLook = 1024;

std::set<std::string> existing_tables(sqlite::Connection& connection) {
  std::set<std::string> names;
  auto statement = connection.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'");
  while (statement.step()) names.insert(statement.string(0));
  return names;
}

// Only settings of a file that is still empty take effect.
void adopt_format(sqlite::Connection& connection, const util::json::Object& facts) {
  const auto set = [&](const char* name) {
    const auto value = util::json::get_int(facts, name);
    if (value) connection.execute(cat("PRAGMA ", name, "=", *value));
  };
  set("page_size");
  set("auto_vacuum");
  if (const auto encoding = util::json::get_string(facts, "encoding")) {
    connection.execute(cat("PRAGMA encoding=", sqlite::quote_text(*encoding)));
  }
  set("user_version");
  set("application_id");
}

class RowRestore {
 public:
  RowRestore(sqlite::Connection& target, repository::ArtifactReader& reader,
             const RestoreRequest& request, util::Task& task)
      : target_(target),
        request_(request),
        task_(task),
        source_(open_table_source(reader, task)),
        chosen_(choose(source_->schema(), request.scope)) {}

  RestoreResult run() {
    if (request_.mode == RestoreMode::replace) drop_chosen();
    const Schema missing = missing_part();
    create_tables(target_, missing);
    const auto is_users = [](const StoredTable& table) { return !is_internal(table.name); };
    task_.progress().streams_total += static_cast<std::uint64_t>(
        std::count_if(chosen_.tables.begin(), chosen_.tables.end(), is_users));
    for (const StoredTable& table : chosen_.tables) {
      if (is_users(table)) load(table);
    }
    load_sequences();
    create_rest(target_, missing);
    require_intact(target_, request_, result_.warnings);
    fingerprint();
    return std::move(result_);
  }

 private:
  void drop_chosen() {
    const auto existing = existing_tables(target_);
    // A virtual table takes its shadow tables along; IF EXISTS covers those that went with it.
    for (const bool is_virtual : {true, false}) {
      for (const SchemaEntry& entry : chosen_.entries) {
        if (entry.type != "table" || entry.is_virtual != is_virtual || is_internal(entry.name))
          continue;
        if (!existing.contains(entry.name)) continue;
        target_.execute(cat("DROP TABLE IF EXISTS main.", sqlite::quote_identifier(entry.name)));
      }
    }
  }

  // What the target does not have yet; objects of tables that exist are the target's business.
  Schema missing_part() {
    existing_ = existing_tables(target_);
    Schema missing;
    for (const SchemaEntry& entry : chosen_.entries) {
      if (entry.is_virtual && existing_.contains(entry.name)) {
        throw Error(ErrorCode::unsupported,
                    cat("cannot append to the virtual table ", util::printable(entry.name),
                        ": its rows belong to its index"),
                    "use --mode replace for it, or choose other tables with --include");
      }
      const bool view = entry.type == "view";
      if (view ? existing_.empty() : !existing_.contains(entry.table))
        missing.entries.push_back(entry);
    }
    return missing;
  }

  void load(const StoredTable& table) {
    const std::string name = util::printable(table.name);
    const bool appends = existing_.contains(table.name) && has_rows(table);
    if (appends) {
      result_.warnings.push_back(
          cat("table ", name, " had rows before: its fingerprint covers them too"));
    }
    try {
      insert_rows(table, appends);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::conflict)
        throw error.with_context(cat("restoring table ", name));
      throw Error(ErrorCode::conflict, cat("cannot restore table ", name, ": ", error.message()),
                  "the target already has such a row; use --mode replace");
    }
    ++task_.progress().streams_done;
  }

  bool has_rows(const StoredTable& table) {
    return target_
        .prepare(cat("SELECT 1 FROM main.", sqlite::quote_identifier(table.name), " LIMIT 1"))
        .step();
  }

  void insert_rows(const StoredTable& table, bool appends) {
    // A rowid that no column shows is kept, except among other rows, where it would only collide.
    const bool with_rowid = table.rowid_is_hidden && !appends;
    std::vector<std::size_t> taken;  // positions of the fields that are inserted
    std::string columns;
    std::string parameters;
    const auto take = [&](const std::string& column, std::size_t field) {
      if (!columns.empty()) {
        columns += ',';
        parameters += ',';
      }
      columns += sqlite::quote_identifier(column);
      parameters += '?';
      taken.push_back(field);
    };
    if (with_rowid) take(table.rowid, 0);
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (!table.columns[i].generated) {
        take(table.columns[i].name, i + (table.rowid_is_hidden ? 1 : 0));
      }
    }
    auto insert = target_.prepare(cat("INSERT INTO main.", sqlite::quote_identifier(table.name),
                                      " (", columns, ") VALUES (", parameters, ")"));
    const std::size_t width = table.fields().size();
    std::vector<Field> fields;
    std::uint64_t rows = 0;
    source_->rows(
        table, condition_of(request_.scope, table.name),
        [&](std::string_view line) {
          decode_row(line, fields);
          if (fields.size() != width) {
            throw Error(ErrorCode::verification_failed,
                        cat("a stored row has ", fields.size(), " fields instead of ", width));
          }
          for (std::size_t i = 0; i < taken.size(); ++i) {
            bind_field(insert, static_cast<int>(i) + 1, fields[taken[i]]);
          }
          insert.run();
          if (++rows % kRowsPerLook == 0) task_.check();
          task_.progress().bytes += line.size() + 1;
        },
        task_);
  }

  // AUTOINCREMENT must not hand out again what the source had used.
  void load_sequences() {
    if (!existing_tables(target_).contains(kSequenceTable)) return;
    std::set<std::string> names;
    for (const StoredTable& table : chosen_.tables) names.insert(table.name);
    std::vector<Field> fields;
    source_->sequences(
        [&](std::string_view line) {
          decode_row(line, fields);
          if (fields.size() != 2 || !names.contains(fields[0].value)) return;
          auto update =
              target_.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1");
          bind_field(update, 1, fields[0]);
          bind_field(update, 2, fields[1]);
          update.run();
          if (target_.changes() > 0) return;
          auto insert = target_.prepare("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)");
          bind_field(insert, 1, fields[0]);
          bind_field(insert, 2, fields[1]);
          insert.run();
        },
        task_);
  }

  // On this connection, because the rows are not committed yet.
  void fingerprint() {
    Schema restored = read_schema(target_);
    std::set<std::string> names;
    for (const StoredTable& table : chosen_.tables) names.insert(table.name);
    std::erase_if(restored.tables,
                  [&](const StoredTable& table) { return !names.contains(table.name); });
    Scope
        rows_only;  // not everything(): other objects of the target's schema are not ours to prove
    rows_only.include = {"*"};
    Proof proof(restored, rows_only, task_);
    for (const Unit& unit : proof.units(target_)) {
      task_.check();
      unit(target_, task_.stop());
    }
    result_.fingerprint = proof.result();
  }

  sqlite::Connection& target_;
  const RestoreRequest& request_;
  util::Task& task_;
  std::unique_ptr<TableSource> source_;
  const Schema chosen_;
  std::set<std::string> existing_;
  RestoreResult result_;
};

RestoreResult restore_into(const std::string& path, sqlite::OpenMode mode, bool fresh,
                           util::Milliseconds busy_timeout, repository::ArtifactReader& reader,
                           const RestoreRequest& request, util::Task& task) {
  Session session(sqlite::Connection(path, mode), task.stop());
  sqlite::Connection& connection = session.connection();
  connection.set_busy_timeout(busy_timeout, task.stop());
  connection.execute("PRAGMA foreign_keys=OFF");
  connection.disable_triggers();  // what they did to the source's rows is part of the rows
  if (fresh) {
    // Nobody sees this file before it is complete: its own journal would protect nothing.
    connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
    adopt_format(connection, reader.summary().engine_data);
  }
  sqlite::Transaction transaction(connection);
  RestoreResult result = RowRestore(connection, reader, request, task).run();
  transaction.commit();
  return result;
}
}  // namespace

RestoreResult restore_rows(const TargetSettings& target, const TargetState& state,
                           repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task) {
  try {
    if (state.exists) {
      return restore_into(target.path, sqlite::OpenMode::read_write, false, target.busy_timeout,
                          reader, request, task);
    }
    StagedFile staged(target.path);
    staged.close_fd();
    RestoreResult result = restore_into(staged.path(), sqlite::OpenMode::read_write, true,
                                        target.busy_timeout, reader, request, task);
    staged.sync();
    staged.publish();
    return result;
  } catch (const Error&) {
    task.check();
    throw;
  }
}

}  // namespace dbbackup::engine::sqlite_engine
