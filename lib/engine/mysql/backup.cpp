#include "engine/mysql/backup.hpp"

#include <mutex>

#include "engine/mysql/accounts.hpp"
#include "engine/mysql/definition.hpp"
#include "engine/mysql/row_reader.hpp"
#include "engine/mysql/table_reader.hpp"
#include "engine/row_text.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using repository::ArtifactWriter;
using repository::StreamKind;
using repository::Summary;
using util::cat;
using util::Error;
using util::ErrorCode;

void write_line(repository::StreamWriter& stream, std::string line) {
  line += '\n';
  stream.write(util::as_bytes(line));
  stream.end_row();
}

void write_definitions(const std::vector<Definition>& definitions, ArtifactWriter& writer) {
  const auto stream =
      writer.open(kDefinitionStream, StreamKind::lines,
                  {.columns = {"kind", "name", "table", "sql", "definer", "status", "sql_mode",
                               "character_set_client", "collation_connection", "database_collation",
                               "time_zone", "broken"}});
  for (const Definition& definition : definitions) {
    write_line(*stream, definition_line(definition));
  }
  stream->close();
}

void write_columns(const Schema& schema, ArtifactWriter& writer) {
  const auto stream = writer.open(kColumnStream, StreamKind::lines,
                                  {.columns = {"table", "column", "type", "character_set"}});
  for (const StoredTable& table : schema.tables) {
    for (const StoredColumn& column : table.columns) {
      std::string line;
      append_row_field(table.name, line);
      for (const std::string_view field :
           {std::string_view(column.name), std::string_view(column.type),
            std::string_view(column.charset)}) {
        line += '\t';
        append_row_field(field, line);
      }
      write_line(*stream, std::move(line));
    }
  }
  stream->close();
}

repository::RowHash write_rows(Connection& connection, const std::string& name,
                               const StoredTable& table, const std::string& sql,
                               ArtifactWriter& writer, util::Task& task) {
  std::vector<std::string> columns;
  for (const StoredColumn& column : table.columns) columns.push_back(column.name);
  const auto stream = writer.open(name, StreamKind::lines, {.columns = columns});
  read_rows(
      connection, sql,
      [&](std::string_view line) {
        stream->write(util::as_bytes(line));
        stream->end_row();
      },
      task);
  const repository::StreamInfo info = stream->close();
  task.progress().bytes += info.bytes;
  ++task.progress().streams_done;
  return repository::RowHash::from_hex(info.hash, info.rows).value_or(repository::RowHash());
}

void require_valid_conditions(Connection& connection, const Scope& scope) {
  for (const auto& [table, condition] : scope.where) {
    try {
      connection.execute(
          cat("EXPLAIN SELECT 1 FROM ", quote_name(table), " WHERE (", condition, "\n)"));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      throw Error(ErrorCode::usage,
                  cat("the condition for table ", util::printable(table), ": ", error.message()),
                  "a condition is what follows WHERE, for example \"created > '2026-01-01'\"");
    }
  }
}

class Backup {
 public:
  Backup(Run& run, const Place& place, const Scope& scope, ArtifactWriter& writer, util::Task& task)
      : run_(run),
        place_(place),
        scope_(scope),
        writer_(writer),
        task_(task),
        snapshot_(open_snapshot(run, place, scope, task)) {}

  Summary make() {
    const Schema& schema = snapshot_.schema;
    require_valid_conditions(first(), scope_);
    summary_.server_version = snapshot_.server.version;
    summary_.consistency_kind = snapshot_.kind;
    summary_.consistency_position = snapshot_.position;
    summary_.warnings = snapshot_.warnings;
    summary_.engine_data["consistency_method"] = snapshot_.method;
    summary_.engine_data["database"] = place_.database;
    summary_.engine_data["whole"] = scope_.everything();
    task_.info(cat(
        "consistency: ", snapshot_.kind, " by ", snapshot_.method,
        snapshot_.position.empty() ? std::string() : cat(", binary log at ", snapshot_.position)));
    for (const StoredTable& table : schema.tables) {
      summary_.proof.push_back({table.name, {}});
      task_.progress().bytes_total += table.data_bytes;
      if (!table.has_rows) {
        summary_.warnings.push_back(cat("table ", util::printable(table.name),
                                        ": only its definition, engine ", table.engine,
                                        " keeps the rows elsewhere"));
      }
    }
    const auto definitions =
        read_definitions(first(), place_.database, schema, scope_.everything(), task_);
    write_definitions(definitions, writer_);
    write_columns(schema, writer_);
    read_tables();
    for (const repository::TableProof& proof : summary_.proof) summary_.rows += proof.hash.rows();
    if (scope_.everything()) {
      summary_.proof.push_back({kDefinitionProof, hash_definitions(definitions, place_.database)});
      tell_broken(definitions);
      if (!back_up_accounts(first(), snapshot_.server, writer_)) {
        task_.info("users and grants are not part of this backup: the login may not read them");
      }
    }
    return std::move(summary_);
  }

 private:
  Connection& first() { return *snapshot_.readers.front(); }

  void read_tables() {
    const Schema& schema = snapshot_.schema;
    std::vector<TablePart> parts = plan_parts(first(), snapshot_.server, schema, scope_, task_);
    task_.progress().streams_total = parts.size();
    std::vector<Unit> locked;
    std::vector<Unit> rest;
    for (TablePart& part : parts) {
      const bool transactional = schema.tables[part.table].transactional;
      (transactional ? rest : locked)
          .push_back([this, part = std::move(part)](Connection& connection) {
            const StoredTable& table = snapshot_.schema.tables[part.table];
            const auto hash = write_rows(connection, part_stream(place_.database, table, part),
                                         table, part.sql, writer_, task_);
            const std::scoped_lock lock(mutex_);
            summary_.proof[part.table].hash.add(hash);
          });
    }
    if (!locked.empty()) run_units(run_, snapshot_.readers, locked, task_);
    snapshot_.lock.reset();
    if (!rest.empty()) run_units(run_, snapshot_.readers, rest, task_);
  }

  void tell_broken(const std::vector<Definition>& definitions) {
    for (const Definition& definition : definitions) {
      if (!definition.broken) continue;
      summary_.warnings.push_back(cat(
          "view ", util::printable(definition.name),
          " cannot be opened on its server (a table or column is missing); it is kept as text"));
    }
  }

  Run& run_;
  const Place& place_;
  const Scope& scope_;
  ArtifactWriter& writer_;
  util::Task& task_;
  Snapshot snapshot_;
  Summary summary_;
  std::mutex mutex_;
};
}  // namespace

Summary back_up_database(const Place& place, const std::string& password, const Scope& scope,
                         ArtifactWriter& writer, util::Task& task) {
  Run run(place, password, task);
  try {
    return Backup(run, place, scope, writer, task).make();
  } catch (...) {
    task.check();
    throw;
  }
}

std::vector<repository::TableProof> fingerprint_database(const Place& place,
                                                         const std::string& password,
                                                         const Scope& scope, util::Task& task) {
  Run run(place, password, task);
  Snapshot snapshot = open_snapshot(run, place, scope, task);
  auto proofs = prove(run, snapshot, scope, task);
  if (scope.everything()) {
    const auto definitions =
        read_definitions(*snapshot.readers.front(), place.database, snapshot.schema, true, task);
    proofs.push_back({kDefinitionProof, hash_definitions(definitions, place.database)});
  }
  return proofs;
}

}  // namespace dbbackup::engine::mysql
