#include "engine/postgresql/loader.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "engine/postgresql/extras.hpp"
#include "engine/row_text.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using repository::TableProof;
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kShownProblems = 5;
// Below this, the new files that TRUNCATE makes cost more than the rows.
constexpr std::uint64_t kWorthEmptying = std::uint64_t{1} << 20U;
constexpr const char* kLoadSettings =
    "SET lock_timeout = 0; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off; "
    // Filling materialized views reads views.
    "SELECT pg_catalog.set_config(name, '', false) FROM pg_catalog.pg_settings "
    "WHERE name = 'restrict_nonsystem_relation_kind'";

std::string shown_list(const std::vector<std::string>& list) {
  std::string text;
  for (std::size_t i = 0; i < std::min(list.size(), kShownProblems); ++i) {
    text += cat(i == 0 ? "" : "; ", list[i]);
  }
  if (list.size() > kShownProblems) text += cat("; and ", list.size() - kShownProblems, " more");
  return text;
}

// Only the lines that name an error: others repeat the failed command, which may hold secrets.
std::vector<std::string> errors_in(const std::vector<std::string>& messages) {
  std::vector<std::string> errors;
  for (const std::string& line : messages) {
    const std::size_t at = line.find("error: ");
    if (at != std::string::npos) errors.push_back(line.substr(at + 7));
  }
  if (errors.empty() && !messages.empty()) errors.push_back(messages.back());
  return errors;
}

int major_of(const std::string& version) {
  return static_cast<int>(
      util::parse_int(version.substr(0, version.find_first_not_of("0123456789"))).value_or(0));
}

bool is_plain(const Definition& definition) {
  return !is_about_database(definition) && definition.section != Definition::Section::data &&
         definition.kind != "ACL" && definition.kind != "COMMENT" &&
         !(definition.kind == "SCHEMA" && definition.name == "public");
}
}  // namespace

Loader::Loader(const Login& login, std::string database, repository::ArtifactReader& reader,
               const StoredDatabase& stored, const RestoreRequest& request, bool is_new,
               util::Task& task)
    : login_(login),
      database_(std::move(database)),
      reader_(reader),
      stored_(stored),
      is_new_(is_new),
      task_(task),
      leader_(open_session(login, database_, task.stop())),
      folder_(std::filesystem::temp_directory_path(), "dbbackup-restore") {
  const int server = leader_->major_version();
  pg_dump_ = find_program(login, "pg_dump", server);
  // pg_restore reads archives of its own and older versions.
  pg_restore_ = find_program(login, "pg_restore",
                             std::max(server, major_of(stored.definitions.program_version)));
  leader_->execute(kLoadSettings);
  for (unsigned i = 0; i < std::max(request.scope.parallel, 1U); ++i) {
    workers_.push_back(open_session(login, database_, task.stop()));
    workers_.back()->execute(kLoadSettings);
  }
  archive_path_ = (folder_.path() / "definitions").string();
  util::write_file_atomically(archive_path_, stored.archive);
}

const Definitions& Loader::present() {
  if (!present_) {
    present_ = read_definitions(dump_definitions(pg_dump_, login_, database_, {}, task_.stop()));
  }
  return *present_;
}

bool Loader::is_empty() {
  if (is_new_) return true;
  const auto& list = present().list;
  return std::none_of(list.begin(), list.end(), is_plain);
}

std::vector<std::string> Loader::tables_present() {
  const auto wanted = stored_.names();
  std::vector<std::string> tables;
  for (const Definition& definition : present().list) {
    if (definition.kind == "TABLE" && wanted.contains({definition.schema, definition.name})) {
      tables.push_back(quote_name(definition.schema, definition.name));
    }
  }
  return tables;
}

void Loader::drop_tables() {
  const auto tables = tables_present();
  if (tables.empty()) return;
  try {
    leader_->execute("DROP TABLE " + util::join(tables, ", "));
  } catch (const ServerError& error) {
    if (error.state() != "2BP01") throw;
    throw Error(ErrorCode::refused,
                cat("other objects depend on the tables to replace: ", error.message()),
                "drop or move them first, or restore into another database");
  }
  present_.reset();
}

// All of the archive for a whole restore into an empty database; otherwise what the chosen tables
// need and the target does not have.
void Loader::choose_entries() {
  if (stored_.all && is_empty()) return;
  std::vector<std::string> left_out;
  std::set<int> wanted;
  if (stored_.all) {
    for (const Definition& definition : stored_.definitions.list) wanted.insert(definition.id);
  } else {
    wanted = closure(stored_.definitions, stored_.names(), left_out);
  }
  for (const std::string& name : left_out) {
    warnings_.push_back(cat(name, " was left out: it refers to a table that is not restored"));
  }
  std::set<std::string> there;
  for (const Definition& definition : present().list) there.insert(definition.shown());
  std::erase_if(wanted, [&](int id) {
    const Definition* definition = stored_.definitions.find(id);
    return definition == nullptr || is_about_database(*definition) ||
           there.contains(definition->shown());
  });
  entries_ = std::move(wanted);
}

void Loader::prepare_roles() {
  if (login_.no_owner) return;
  std::set<std::string> missing;
  for (const Definition& definition : stored_.definitions.list) {
    if (!definition.owner.empty() && (!entries_ || entries_->contains(definition.id))) {
      missing.insert(definition.owner);
    }
  }
  const std::vector<std::string> wanted(missing.begin(), missing.end());
  const Result known = leader_->query(
      "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY($1)", {array_literal(wanted)});
  for (std::size_t row = 0; row < known.rows(); ++row) missing.erase(known.text(row, 0));
  if (!login_.create_roles) {
    if (missing.empty()) return;
    throw Error(ErrorCode::refused,
                cat("roles that own objects of the artifact are missing on the server: ",
                    util::printable(util::join({missing.begin(), missing.end()}, ", "))),
                "create them, or set --option create_roles=true or --option no_owner=true on the "
                "target database");
  }
  // All roles of the artifact that are missing: grants name others than owners.
  const Result all = leader_->query("SELECT rolname FROM pg_catalog.pg_roles");
  std::set<std::string> there;
  for (std::size_t row = 0; row < all.rows(); ++row) there.insert(all.text(row, 0));
  std::vector<std::optional<std::string>> fields;
  for (const std::string& line : read_lines(reader_, kRolesStream, task_)) {
    split_row(line, fields);
    if (fields.size() != 3 || there.contains(fields[1].value_or(""))) continue;
    leader_->execute(fields[2].value_or(""));
  }
}

void Loader::restore_half(Half half, unsigned jobs, const std::stop_token& stop) {
  std::vector<std::string> arguments{
      half == Half::pre_data ? "--section=pre-data" : "--section=post-data", "--no-password",
      "--dbname=" + login_.connection_string(database_)};
  if (login_.no_owner) {
    arguments.push_back("--no-owner");
    arguments.push_back("--no-privileges");
  }
  if (jobs > 1) arguments.push_back(cat("--jobs=", jobs));
  if (entries_) {
    if (entries_->empty()) return;
    std::string list;
    for (const Definition& definition : stored_.definitions.list) {
      if (entries_->contains(definition.id)) list += cat(definition.id, ";\n");
    }
    const std::string path = (folder_.path() / "list").string();
    util::write_file_atomically(path, util::as_bytes(list));
    arguments.push_back("--use-list=" + path);
  }
  arguments.push_back(archive_path_);
  const ProgramEnd end = run_program(pg_restore_, arguments, login_, stop, [](util::ByteView) {});
  if (end.exit_status == 0) return;
  auto errors = errors_in(end.messages);
  // A newer pg_restore begins with settings that an older server does not know; they only concern
  // its own session.
  const auto settings = std::erase_if(errors, [&](const std::string& error) {
    return pg_restore_.major > leader_->major_version() &&
           error.find("unrecognized configuration parameter") != std::string::npos;
  });
  if (settings > 0 && errors.empty()) return;
  throw Error(ErrorCode::io,
              cat("restoring definitions failed with ", errors.size(),
                  errors.size() == 1 ? " error: " : " errors: ", shown_list(errors)),
              "roles: --option create_roles=true or no_owner=true; extensions: install their "
              "packages on the server");
}

void Loader::load_part(Connection& connection, const StoredTable& table, const std::string& stream,
                       bool fresh) {
  const auto source = reader_.open(stream);
  try {
    // A table emptied in the same transaction takes rows that need no later freezing, and on a
    // server with wal_level=minimal no log either.
    if (fresh) {
      connection.execute(cat("BEGIN; TRUNCATE ONLY ", table.sql()));
    }
    const std::uint64_t rows = connection.copy_in(copy_in_sql(table, stored_.encoding, fresh),
                                                  [&](const Connection::Put& put) {
                                                    source->read_all(
                                                        [&](std::uint64_t, util::ByteView piece) {
                                                          put(piece);
                                                          task_.progress().bytes += piece.size();
                                                        },
                                                        1, task_);
                                                  });
    if (rows != source->info().rows) {
      throw Error(ErrorCode::verification_failed,
                  cat("the server took ", rows, " rows of ", source->info().rows));
    }
    if (fresh) connection.execute("COMMIT");
    task_.progress().rows += rows;
    ++task_.progress().streams_done;
  } catch (const Error& error) {
    throw error.with_context(cat("table ", util::printable(table.id())));
  }
}

void Loader::load_rows() {
  struct Piece {
    const StoredTable* table;
    const std::string* stream;
    std::uint64_t bytes;
    std::size_t place;  // in its table
    bool fresh;
  };
  std::map<std::string, std::uint64_t> sizes;
  for (const repository::StreamInfo& stream : reader_.streams()) sizes[stream.name] = stream.bytes;
  std::vector<Piece> pieces;
  for (const StoredTable& table : stored_.tables) {
    const auto& streams = stored_.streams.at(table.id());
    for (const std::string& stream : streams) {
      // Rows of an extension's own tables come on top of those that CREATE EXTENSION has made.
      const bool fresh =
          streams.size() == 1 && table.condition.empty() && sizes[stream] >= kWorthEmptying;
      const auto place = static_cast<std::size_t>(&stream - streams.data());
      if (sizes[stream] > 0) pieces.push_back({&table, &stream, sizes[stream], place, fresh});
      task_.progress().bytes_total += sizes[stream];
    }
  }
  // Large tables side by side rather than piece by piece: sessions that extend the same table wait
  // for each other.
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& left, const Piece& right) {
    return left.place != right.place ? left.place < right.place : left.bytes > right.bytes;
  });
  std::vector<Unit> units;
  for (const Piece& piece : pieces) {
    units.push_back([this, piece](Connection& connection) {
      load_part(connection, *piece.table, *piece.stream, piece.fresh);
    });
  }
  task_.progress().streams_total = units.size();
  if (!units.empty()) run_units(workers_, units, task_);
}

void Loader::load_large_objects() {
  if (!stored_.all || !has_stream(reader_, kLargeObjectsStream)) return;
  const auto owners = read_lines(reader_, kLargeObjectOwnersStream, task_);
  restore_large_objects(*leader_, owners, login_.no_owner, [&](const Connection::Put& put) {
    reader_.open(kLargeObjectsStream)
        ->read_all([&](std::uint64_t, util::ByteView piece) { put(piece); }, 1, task_);
  });
}

// Indexes and constraints are built by pg_restore's own connections while ours read the rows back.
std::vector<TableProof> Loader::prove_while_indexing() {
  TableHasher hasher(task_);
  std::vector<TableProof> proofs;
  for (const StoredTable& table : stored_.tables) proofs.push_back({table.id(), {}});
  std::vector<Unit> units;
  std::vector<StoredTable> measured = stored_.tables;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    measured[i].key.clear();
    measured[i].bytes = 0;
    for (const std::string& stream : stored_.streams.at(measured[i].id())) {
      measured[i].bytes += reader_.open(stream)->info().bytes;
    }
    hasher.add_units(*leader_, measured[i], stored_.encoding, proofs[i], units);
  }
  std::exception_ptr failure;
  std::stop_source indexing_failed;
  {
    std::jthread indexing([&](const std::stop_token& stop) {
      try {
        restore_half(Half::post_data, static_cast<unsigned>(workers_.size()), stop);
      } catch (...) {
        failure = std::current_exception();
        indexing_failed.request_stop();
      }
    });
    const std::stop_callback outer(task_.stop(), [&] { indexing.request_stop(); });
    if (!units.empty()) run_units(workers_, units, task_, indexing_failed.get_token());
    indexing.join();
  }
  if (failure) std::rethrow_exception(failure);
  return proofs;
}

void Loader::fill_views() {
  if (!stored_.all) return;
  // Event triggers, which are there by now, are not meant for us.
  if (leader_->value("SELECT pg_catalog.current_setting('is_superuser')") == "on") {
    leader_->execute("SET session_replication_role = replica");
  }
  std::vector<std::optional<std::string>> fields;
  for (const std::string& line : read_lines(reader_, kViewsStream, task_)) {
    split_row(line, fields);
    if (fields.size() != 2) continue;
    const std::string name = quote_name(fields[0].value_or(""), fields[1].value_or(""));
    try {
      leader_->execute(cat("REFRESH MATERIALIZED VIEW ", name));
    } catch (const Error& error) {
      throw error.with_context(cat("filling materialized view ", util::printable(name)));
    }
  }
}

void Loader::analyze() {
  std::vector<Unit> units;
  for (const StoredTable& table : stored_.tables) {
    units.push_back(
        [&table](Connection& connection) { connection.execute(cat("ANALYZE ", table.sql())); });
  }
  if (!units.empty()) run_units(workers_, units, task_);
}

void Loader::compare_definitions(std::vector<TableProof>& proofs) {
  const auto& sealed = reader_.summary().proof;
  const auto proof = std::find_if(sealed.begin(), sealed.end(), [](const TableProof& entry) {
    return entry.name == kDefinitionsProof;
  });
  if (proof == sealed.end()) return;
  present_.reset();
  const Definitions& actual = present();
  const Definitions& expected = stored_.definitions;
  if (major_of(actual.server_version) != major_of(expected.server_version) ||
      major_of(actual.program_version) != major_of(expected.program_version)) {
    warnings_.push_back(
        cat("definitions were restored without an error but not compared: they "
            "come from PostgreSQL ",
            expected.server_version, ", the server is ", actual.server_version,
            ", and versions print them differently"));
    proofs.push_back(*proof);
    return;
  }
  const Comparison how{.owners = !login_.no_owner};
  const auto found = differences(expected, actual, how, kShownProblems + 1);
  if (!found.empty()) {
    throw Error(ErrorCode::verification_failed,
                cat("definitions differ after the restore: ", shown_list(found)),
                "compare 'pg_dump --schema-only' of both databases");
  }
  proofs.push_back(how.owners ? TableProof{kDefinitionsProof, hash_definitions(actual, how)}
                              : *proof);
}

RestoreResult Loader::load() {
  choose_entries();
  prepare_roles();
  task_.info("restoring definitions");
  restore_half(Half::pre_data, 1, task_.stop());
  task_.info(cat("restoring rows of ", stored_.tables.size(), " tables"));
  load_rows();
  load_large_objects();
  const auto sequences = read_lines(reader_, kSequencesStream, task_);
  std::set<std::pair<std::string, std::string>> ours;
  for (const Definition& definition : stored_.definitions.list) {
    if (definition.kind == "SEQUENCE" && (!entries_ || entries_->contains(definition.id))) {
      ours.insert({definition.schema, definition.name});
    }
  }
  set_sequences(*leader_, sequences, stored_.all ? nullptr : &ours);
  task_.info("restoring indexes and constraints, reading rows back");
  RestoreResult result;
  result.fingerprint = prove_while_indexing();
  fill_views();
  analyze();
  if (stored_.all) {
    add_extra_proofs(*leader_, result.fingerprint);
    compare_definitions(result.fingerprint);
  }
  result.warnings = warnings_;
  return result;
}

// Tables after those their foreign keys point to.
std::vector<const StoredTable*> Loader::referenced_first() const {
  std::map<int, const StoredTable*> by_entry;
  std::map<const StoredTable*, std::set<const StoredTable*>> needs;
  for (const Definition& definition : stored_.definitions.list) {
    for (const StoredTable& table : stored_.tables) {
      if (definition.kind == "TABLE" && definition.schema == table.schema &&
          definition.name == table.name) {
        by_entry[definition.id] = &table;
      }
    }
  }
  for (const Definition& definition : stored_.definitions.list) {
    if (definition.kind != "FK CONSTRAINT") continue;
    const StoredTable* from = nullptr;
    std::vector<const StoredTable*> to;
    for (const int id : definition.needs) {
      const auto found = by_entry.find(id);
      if (found == by_entry.end()) continue;
      if (definition.name.starts_with(found->second->name + " ")) {
        from = found->second;
      } else {
        to.push_back(found->second);
      }
    }
    if (from != nullptr) needs[from].insert(to.begin(), to.end());
  }
  std::vector<const StoredTable*> order;
  std::set<const StoredTable*> done;
  // A circle of keys is entered anywhere; such keys are usually deferrable.
  const std::function<void(const StoredTable*)> visit = [&](const StoredTable* table) {
    if (!done.insert(table).second) return;
    for (const StoredTable* needed : needs[table]) visit(needed);
    order.push_back(table);
  };
  for (const StoredTable& table : stored_.tables) visit(&table);
  return order;
}

RestoreResult Loader::append() {
  choose_entries();
  prepare_roles();
  const bool anything_new = !entries_ || !entries_->empty();
  if (anything_new) restore_half(Half::pre_data, 1, task_.stop());
  leader_->execute("BEGIN; SET CONSTRAINTS ALL DEFERRED");
  for (const StoredTable* table : referenced_first()) {
    for (const std::string& stream : stored_.streams.at(table->id())) {
      load_part(*leader_, *table, stream, false);
    }
  }
  leader_->execute("COMMIT");
  if (anything_new)
    restore_half(Half::post_data, static_cast<unsigned>(workers_.size()), task_.stop());
  analyze();
  RestoreResult result;
  result.warnings = warnings_;
  result.warnings.push_back(
      "rows were appended: triggers of the tables fired, positions of sequences were left alone");
  TableHasher hasher(task_);
  for (const StoredTable& table : stored_.tables) result.fingerprint.push_back({table.id(), {}});
  std::vector<Unit> units;
  for (std::size_t i = 0; i < stored_.tables.size(); ++i) {
    hasher.add_units(*leader_, stored_.tables[i], stored_.encoding, result.fingerprint[i], units);
  }
  if (!units.empty()) run_units(workers_, units, task_);
  return result;
}

}  // namespace dbbackup::engine::postgresql
