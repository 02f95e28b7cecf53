#include "engine/postgresql/backup.hpp"

#include <algorithm>
#include <mutex>
#include <thread>

#include "engine/postgresql/extras.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using repository::RowHash;
using repository::StreamKind;
using repository::Summary;
using repository::TableProof;
using util::cat;
using util::Error;
using util::ErrorCode;

// Counters shared between threads are brought up to date once per so many bytes.
constexpr std::uint64_t kProgressBytes = 1U << 18U;

class RowCounter {
 public:
  explicit RowCounter(util::Task& task) : task_(task) {}
  ~RowCounter() { publish(); }
  RowCounter(const RowCounter&) = delete;
  RowCounter& operator=(const RowCounter&) = delete;
  void count(std::size_t bytes) {
    ++rows_;
    bytes_ += bytes;
    if (bytes_ >= kProgressBytes) publish();
  }

 private:
  void publish() {
    task_.progress().rows += std::exchange(rows_, 0);
    task_.progress().bytes += std::exchange(bytes_, 0);
  }
  util::Task& task_;
  std::uint64_t rows_ = 0;
  std::uint64_t bytes_ = 0;
};

RowHash copy_to_stream(Connection& connection, const std::string& sql, const std::string& name,
                       const std::vector<std::string>& columns, repository::ArtifactWriter& writer,
                       util::Task& task) {
  const auto stream = writer.open(name, StreamKind::lines, {.columns = columns});
  {
    RowCounter counter(task);
    connection.copy_out(sql, [&](util::ByteView row) {
      stream->write(row);
      stream->end_row();
      counter.count(row.size());
    });
  }
  const repository::StreamInfo info = stream->close();
  ++task.progress().streams_done;
  const auto hash = RowHash::from_hex(info.hash, info.rows);
  if (!hash) throw Error(ErrorCode::internal, cat("stream ", name, " has no hash of rows"));
  return *hash;
}

std::vector<std::string> column_names(const StoredTable& table) {
  std::vector<std::string> names;
  for (const TableColumn& column : table.columns) {
    if (!column.generated) names.push_back(column.name);
  }
  return names;
}

// A table that is read, with its proof under construction.
struct Source {
  const StoredTable* table;
  std::vector<Part> parts;
  TableProof proof;
};

std::vector<Source> plan_sources(Snapshot& snapshot, Summary& summary) {
  const bool standby = snapshot.leader->value("SELECT pg_catalog.pg_is_in_recovery()") == "t";
  std::vector<Source> sources;
  for (const StoredTable& table : snapshot.tables) {
    if (table.kind == "f") {
      summary.warnings.push_back(cat("foreign table ", util::printable(table.id()),
                                     ": its rows are on another server and "
                                     "are not backed up"));
    }
    if (!table.has_rows()) continue;
    if (table.unlogged && standby) {
      summary.skipped.emplace_back(table.id(), "an unlogged table cannot be read on a standby");
      continue;
    }
    sources.push_back({&table, parts_of(*snapshot.leader, table), {table.id(), {}}});
  }
  return sources;
}

// Largest first, so that no worker is left alone with a large one at the end.
std::vector<Unit> reading_units(std::vector<Source>& sources, const std::string& encoding,
                                repository::ArtifactWriter& writer, std::mutex& mutex,
                                util::Task& task) {
  std::vector<Source*> order;
  for (Source& source : sources) order.push_back(&source);
  std::stable_sort(order.begin(), order.end(), [](const Source* left, const Source* right) {
    return left->table->bytes > right->table->bytes;
  });
  std::vector<Unit> units;
  for (Source* source : order) {
    for (const Part& part : source->parts) {
      units.push_back([source, &part, &encoding, &writer, &mutex, &task](Connection& connection) {
        try {
          const RowHash hash =
              copy_to_stream(connection, copy_out_sql(*source->table, part.where, encoding, true),
                             part.stream, column_names(*source->table), writer, task);
          const std::scoped_lock lock(mutex);
          source->proof.hash.add(hash);
        } catch (const Error& error) {
          throw error.with_context(cat("table ", util::printable(source->proof.name)));
        }
      });
    }
  }
  return units;
}

void write_bytes(repository::ArtifactWriter& writer, const std::string& name,
                 util::ByteView content) {
  const auto stream = writer.open(name, StreamKind::bytes);
  stream->write(content);
  stream->close();
}

// What stands beside the tables of a whole database.
void write_extras(Snapshot& snapshot, const Scope& scope, repository::ArtifactWriter& writer,
                  Summary& summary, util::Task& task) {
  Connection& leader = *snapshot.leader;
  std::vector<std::string> unreadable;
  const auto sequences = sequence_lines(leader, unreadable);
  for (const std::string& name : unreadable) {
    summary.skipped.emplace_back(name, "the login may not read this sequence");
  }
  write_lines(writer, kSequencesStream, sequences, {"schema", "name", "last_value", "is_called"});
  write_lines(writer, kViewsStream, filled_view_lines(leader), {"schema", "name"});
  if (!scope.everything()) return;
  if (!sequences.empty()) summary.proof.push_back({kSequencesProof, hash_of(sequences)});
  write_lines(writer, kRolesStream, role_lines(leader), {"kind", "name", "statement"});
  write_lines(writer, kDatabaseStream, database_lines(leader), {"name", "value", "more"});
  if (!has_large_objects(leader)) return;
  write_lines(writer, kLargeObjectOwnersStream, large_object_owner_lines(leader),
              {"oid", "owner", "grants", "comment"});
  summary.proof.push_back(
      {kLargeObjectsProof, copy_to_stream(leader, large_objects_sql(), kLargeObjectsStream,
                                          {"oid", "page", "content"}, writer, task)});
}

// pg_dump at work on the same snapshot while rows are read. When it fails, reading on is pointless.
class DefinitionsReader {
 public:
  DefinitionsReader(const Program& pg_dump, const Login& login, const std::string& snapshot,
                    const util::Task& task)
      : outer_(task.stop(), [this] { stop_.request_stop(); }),
        thread_([this, &pg_dump, &login, snapshot] { read(pg_dump, login, snapshot); }) {}
  ~DefinitionsReader() { stop_.request_stop(); }
  DefinitionsReader(const DefinitionsReader&) = delete;
  DefinitionsReader& operator=(const DefinitionsReader&) = delete;

  std::stop_token failed() const { return failed_.get_token(); }

  util::Bytes take() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(archive_);
  }

 private:
  void read(const Program& pg_dump, const Login& login, const std::string& snapshot) {
    try {
      archive_ = dump_definitions(pg_dump, login, login.database, snapshot, stop_.get_token());
    } catch (...) {
      failure_ = std::current_exception();
      failed_.request_stop();
    }
  }
  std::stop_source stop_;
  std::stop_source failed_;
  std::stop_callback<std::function<void()>> outer_;
  util::Bytes archive_;
  std::exception_ptr failure_;
  std::jthread thread_;
};

void warn_of_invalid_indexes(Connection& leader, Summary& summary) {
  const Result invalid = leader.query(
      "SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c "
      "ON c.oid = i.indexrelid WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1");
  for (std::size_t row = 0; row < invalid.rows(); ++row) {
    summary.warnings.push_back(cat("index ", util::printable(invalid.view(row, 0)),
                                   " is invalid at the source and will not be restored"));
  }
}
}  // namespace

Summary back_up_database(const Login& login, const Scope& scope, repository::ArtifactWriter& writer,
                         util::Task& task) {
  Snapshot snapshot = open_snapshot(login, scope, task);
  Connection& leader = *snapshot.leader;
  const Program pg_dump = find_program(login, "pg_dump", leader.major_version());
  Summary summary;
  summary.server_version = leader.server_version();
  summary.consistency_kind = "snapshot";
  summary.consistency_position = snapshot.position;
  summary.engine_data["encoding"] = snapshot.encoding;
  summary.engine_data["pg_dump"] = pg_dump.version;
  summary.engine_data["whole"] = scope.everything();

  DefinitionsReader definitions(pg_dump, login, snapshot.name, task);
  std::vector<Source> sources = plan_sources(snapshot, summary);
  std::mutex mutex;
  const std::vector<Unit> units = reading_units(sources, snapshot.encoding, writer, mutex, task);
  task.progress().streams_total = units.size();
  run_units(snapshot.readers, units, task, definitions.failed());
  const util::Bytes archive = definitions.take();

  std::vector<std::string> lines;
  for (const Source& source : sources) {
    lines.push_back(table_line(*source.table, source.parts));
    summary.rows += source.proof.hash.rows();
    summary.proof.push_back(source.proof);
  }
  write_lines(writer, kTablesStream, lines, {});
  write_extras(snapshot, scope, writer, summary, task);
  warn_of_invalid_indexes(leader, summary);
  write_bytes(writer, kDefinitionsStream, archive);
  if (scope.everything()) {
    summary.proof.push_back({kDefinitionsProof, hash_definitions(read_definitions(archive), {})});
  }
  leader.execute("COMMIT");
  return summary;
}

void TableHasher::add_units(Connection& connection, const StoredTable& table,
                            const std::string& encoding, TableProof& proof,
                            std::vector<Unit>& units) {
  for (const Part& part : parts_of(connection, table)) {
    units.push_back([this, &table, &proof, encoding, where = part.where](Connection& reader) {
      RowHash hash;
      RowCounter counter(task_);
      try {
        reader.copy_out(copy_out_sql(table, where, encoding, false), [&](util::ByteView row) {
          hash.add(row.first(row.size() - 1));
          counter.count(row.size());
        });
      } catch (const Error& error) {
        throw error.with_context(cat("table ", util::printable(proof.name)));
      }
      const std::scoped_lock lock(mutex_);
      proof.hash.add(hash);
    });
  }
}

void add_extra_proofs(Connection& connection, std::vector<TableProof>& proofs) {
  std::vector<std::string> unreadable;
  const auto sequences = sequence_lines(connection, unreadable);
  if (!sequences.empty()) proofs.push_back({kSequencesProof, hash_of(sequences)});
  if (!has_large_objects(connection)) return;
  TableProof objects{kLargeObjectsProof, {}};
  connection.execute("BEGIN READ ONLY");
  connection.copy_out(large_objects_sql(),
                      [&](util::ByteView row) { objects.hash.add(row.first(row.size() - 1)); });
  connection.execute("COMMIT");
  proofs.push_back(std::move(objects));
}

std::vector<TableProof> fingerprint_database(const Login& login, const Scope& scope,
                                             util::Task& task) {
  Snapshot snapshot = open_snapshot(login, scope, task);
  TableHasher hasher(task);
  std::vector<TableProof> proofs;
  for (const StoredTable& table : snapshot.tables) {
    if (table.has_rows()) proofs.push_back({table.id(), {}});
  }
  std::vector<Unit> units;
  auto proof = proofs.begin();
  for (const StoredTable& table : snapshot.tables) {
    if (table.has_rows()) {
      hasher.add_units(*snapshot.leader, table, snapshot.encoding, *proof++, units);
    }
  }
  run_units(snapshot.readers, units, task);
  if (!scope.everything()) return proofs;
  snapshot.leader->execute("COMMIT");
  add_extra_proofs(*snapshot.leader, proofs);
  const Program pg_dump = find_program(login, "pg_dump", snapshot.leader->major_version());
  const util::Bytes archive = dump_definitions(pg_dump, login, login.database, {}, task.stop());
  proofs.push_back({kDefinitionsProof, hash_definitions(read_definitions(archive), {})});
  return proofs;
}

}  // namespace dbbackup::engine::postgresql
