// One kind of database: how to look at it, back it up, restore into it and compute the same
// fingerprint of it again.
//
// An engine knows nothing of stores, keys, schedules or the catalog: rows go into an ArtifactWriter
// and come out of an ArtifactReader. A new engine is one folder and one line in registry.cpp.
//
// Threads: one Engine object serves one run; its members are called from one thread, workers inside
// are its own business and are joined before a member returns. Errors: not_found (no such database
// or table), permission_denied, unavailable (server away, locked too long; worth a retry),
// source_damaged, refused (target not empty), unsupported, verification_failed, cancelled.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine {

// A database URL taken apart (interface.md "Database URLs"). Carries no password.
struct Address {
  std::string engine;  // "sqlite", "postgresql", "mariadb", ...
  std::string user;
  std::string host;
  std::uint16_t port = 0;
  std::string database;  // name, or the file's absolute path for sqlite
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string url;  // as given
};
// Errors: usage for a malformed URL, a relative path, or a password inside it; unsupported for an
// unknown scheme.
Address parse_url(const std::string& url);

using Options = std::vector<std::pair<std::string, std::string>>;

// What a run works on. Patterns are globs over table names ("orders_*"); none means everything.
struct Scope {
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::pair<std::string, std::string>> where;  // table, condition
  unsigned parallel = 2;                                   // reader or loader workers
  bool everything() const { return include.empty() && exclude.empty() && where.empty(); }
};

struct Check {  // one line of `database test`
  std::string name;
  bool ok = true;
  std::string detail;
  std::string hint;
};

struct Probe {
  std::string engine;
  std::string server_version;
  std::vector<Check> checks;
  bool ok() const;
};

struct Table {
  std::string name;
  std::optional<std::uint64_t> estimated_bytes;
  std::vector<std::string> columns;
};

enum class RestoreMode { create, replace, append };
std::string_view restore_mode_name(RestoreMode mode);
std::optional<RestoreMode> restore_mode_from_name(std::string_view name);

struct RestoreRequest {
  RestoreMode mode = RestoreMode::create;
  Scope scope;                  // tables to take; everything() = all
  bool integrity_check = true;  // the engine's own checks after loading
  // Set when a drill has already restored exactly this artifact and found rows and checks right;
  // says which run it was. An engine that can show that the target holds the same bytes as that
  // drill's scratch need not look at the rows again.
  std::optional<std::string> proved_by;
};

struct RestoreResult {
  // Of what now stands in the target, for the restored tables.
  std::vector<repository::TableProof> fingerprint;
  // The fingerprint was not computed from rows: the target's bytes were read back and are those
  // that the run in RestoreRequest::proved_by has proved.
  bool proved_by_bytes = false;
  std::vector<std::string> warnings;
};

struct RestorePlan {
  std::vector<std::string> steps;  // sentences in order
  std::vector<std::string> tables;
  bool target_exists = false;
  bool target_empty = true;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Looks at the server with the stored login; failures are checks, not exceptions.
  virtual Probe probe(util::Task& task) = 0;
  virtual std::vector<Table> inventory(const Scope& scope, util::Task& task) = 0;
  // Writes all streams and returns the facts to seal. Errors before the end leave nothing behind in
  // the source.
  virtual repository::Summary back_up(const Scope& scope, repository::ArtifactWriter& writer,
                                      util::Task& task) = 0;
  virtual RestorePlan plan_restore(repository::ArtifactReader& reader,
                                   const RestoreRequest& request, util::Task& task) = 0;
  // Restores into this engine's database. The caller has checked the guards of the catalog; the
  // engine refuses a target that is not empty in mode create. The caller compares the result's
  // fingerprint with the artifact's proof.
  virtual RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                                util::Task& task) = 0;
  // Counts and hashes of the live database's tables.
  virtual std::vector<repository::TableProof> fingerprint(const Scope& scope, util::Task& task) = 0;
  // Of engines from make_scratch_engine() only: removes what the drill made. Called once, however
  // the drill ended, with a task that is not cancelled. Files below the scratch folder need
  // nothing.
  virtual void remove_scratch(util::Task& task) { (void)task; }
};

struct Settings {
  Options options;                        // of the database record
  std::function<std::string()> password;  // fetched when needed; may be empty
  // Files that must never be a restore target (the control database), compared by device and inode.
  std::vector<std::string> protected_files;
};

// Errors: unsupported.
std::unique_ptr<Engine> make_engine(const Address& address, const Settings& settings);

// Where a drill may restore to: an engine of files uses the folder, an engine of servers makes a
// database of its own beside the one that `server` names.
struct ScratchPlace {
  std::string folder;             // exists, private, removed with all its content afterwards
  std::string name;               // unlike any other drill's; letters and digits only
  std::optional<Address> server;  // set when scratch_needs_server()
};
bool scratch_needs_server(const std::string& engine);
// An engine that restores into scratch space. `settings` are those of the server's database.
std::unique_ptr<Engine> make_scratch_engine(const std::string& engine, const ScratchPlace& place,
                                            const Settings& settings);
std::vector<std::string> known_engines();
// Names and meaning of the options `database add --option` takes for this engine.
// Errors: usage, with the nearest name as hint, for an unknown one.
void check_options(const std::string& engine, const Options& options);

// Rows of chosen streams, for export: calls `row` with the table's columns and each row's fields;
// nullopt is NULL. A field is text as the engine shows it, or raw bytes when `binary`.
struct Field {
  enum class Type { null, integer, real, text, blob, json } type = Type::null;
  // Text form ("inf", "-inf" and "nan" for reals that are not numbers); raw bytes for blob; one
  // JSON value for json.
  std::string value;
};
struct TableData {
  std::string name;
  std::vector<std::string> columns;
  std::vector<bool> generated = {};  // per column: computed by the database, cannot be inserted
  // The column that is the whole row as a JSON object: an export as JSON shows nothing else.
  std::optional<std::size_t> document = std::nullopt;
};
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void begin_table(const TableData& table) = 0;
  virtual void row(const std::vector<Field>& fields) = 0;
  virtual void end_table() = 0;
};
class SqlDialect;  // engine/sql_dialect.hpp

// Reads an artifact's tables without restoring it. `schema` receives the DDL statements as text, in
// order; statements that must run after the rows (indexes, triggers, views) come with `after_data`
// true.
class ArtifactTables {
 public:
  virtual ~ArtifactTables() = default;
  virtual void schema(
      const std::function<void(const std::string& statement, bool after_data)>& each) = 0;
  virtual void rows(const Scope& scope, RowSink& sink, util::Task& task) = 0;
  // How an export writes SQL; null where the engine has none.
  virtual const SqlDialect* dialect() const = 0;
  // Writes the engine's own format (for sqlite the .db file). Errors: unsupported where there is
  // none.
  virtual void write_native(const std::string& path, util::Task& task) = 0;
};
// Requires: reader outlives the result.
std::unique_ptr<ArtifactTables> open_tables(repository::ArtifactReader& reader);

// A dump that an engine's own tools have made, and that can be imported as an artifact.
// The engine whose dump the file is, by its first bytes; nothing for any other file.
std::optional<std::string> engine_of_dump(const std::string& path);
// Writes all streams and returns the facts to seal. Errors: source_damaged, unsupported, io.
repository::Summary import_dump(const std::string& engine, const std::string& path,
                                repository::ArtifactWriter& writer, util::Task& task);

}  // namespace dbbackup::engine
