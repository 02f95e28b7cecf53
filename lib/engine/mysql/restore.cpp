#include "engine/mysql/restore.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "engine/mysql/accounts.hpp"
#include "engine/mysql/artifact_lines.hpp"
#include "engine/mysql/backup.hpp"
#include "engine/mysql/loader.hpp"
#include "engine/mysql/objects.hpp"
#include "engine/mysql/table_making.hpp"
#include "engine/mysql/table_reader.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Below this, building keys afterwards costs more in statements than it saves.
constexpr std::uint64_t kLateKeysBytes = std::uint64_t{16} << 20U;

// What a request takes from an artifact.
struct Choice {
  std::vector<Definition> definitions;
  std::vector<std::string> tables;
  bool whole = false;  // the whole database, with everything beside its tables
};

Choice choose_definitions(repository::ArtifactReader& reader, const Scope& scope,
                          util::Task& task) {
  if (!scope.where.empty()) {
    throw Error(ErrorCode::unsupported, "a condition cannot be applied to the rows of an artifact",
                "restore the table and delete what is not wanted");
  }
  Choice choice;
  choice.definitions = read_artifact_definitions(reader, task);
  choice.whole = scope.everything() &&
                 util::json::get_bool(reader.summary().engine_data, "whole").value_or(false);
  Schema schema;
  for (const Definition& definition : choice.definitions) {
    if (definition.kind == Kind::sequence) schema.sequences.push_back(definition.name);
    if (definition.kind != Kind::table) continue;
    schema.tables.emplace_back().name = definition.name;
  }
  std::set<std::string> chosen;
  for (const StoredTable& table : choose(schema, scope).tables) {
    choice.tables.push_back(table.name);
    chosen.insert(table.name);
  }
  for (const std::string& name : choose(schema, scope).sequences) chosen.insert(name);
  if (choice.whole) return choice;
  std::erase_if(choice.definitions, [&](const Definition& definition) {
    const bool of_table = definition.kind == Kind::trigger;
    const bool may =
        of_table || definition.kind == Kind::table || definition.kind == Kind::sequence;
    return !may || !chosen.contains(of_table ? definition.table : definition.name);
  });
  return choice;
}

std::uint64_t row_bytes(const repository::ArtifactReader& reader, const std::string& table) {
  const std::vector<std::string> names = row_streams(reader, table);
  std::uint64_t bytes = 0;
  for (const repository::StreamInfo& stream : reader.streams()) {
    if (std::find(names.begin(), names.end(), stream.name) != names.end()) bytes += stream.bytes;
  }
  return bytes;
}

bool keys_may_come_later(const std::string& sql) {
  // An AUTO_INCREMENT column must be part of a key from the beginning; when its key is not the
  // primary one, moving others behind it would change their order. History does not survive a
  // later ALTER.
  const bool counter = sql.find(" AUTO_INCREMENT") != std::string::npos;
  const bool versioned = sql.find("WITH SYSTEM VERSIONING") != std::string::npos;
  const bool innodb = sql.find("ENGINE=InnoDB") != std::string::npos;
  const std::size_t primary = sql.find("PRIMARY KEY (`");
  if (versioned || !innodb || primary == std::string::npos) return false;
  if (!counter) return true;
  const std::size_t name = primary + std::string_view("PRIMARY KEY (").size();
  const std::string first = sql.substr(name, skip_quoted(sql, name) - name);
  const std::size_t column = sql.find(cat("\n  ", first, " "));
  if (column == std::string::npos) return false;
  return sql.substr(column + 1, sql.find('\n', column + 1) - column).find(" AUTO_INCREMENT") !=
         std::string::npos;
}

class Restore {
 public:
  Restore(const Place& place, const std::string& password, bool scratch,
          repository::ArtifactReader& reader, const RestoreRequest& request, util::Task& task)
      : place_(place),
        scratch_(scratch),
        reader_(reader),
        request_(request),
        task_(task),
        run_(place, password, task) {}

  RestoreResult restore() {
    choice_ = choose_definitions(reader_, request_.scope, task_);
    make_room();
    try {
      fill();
    } catch (...) {
      tidy_up();
      task_.check();
      throw;
    }
    return std::move(result_);
  }

 private:
  bool append() const { return request_.mode == RestoreMode::append; }

  // Database there, nothing in it that is in the way.
  void make_room() {
    Connection admin(run_.door(), "");
    set_binlog(admin);
    created_ = !database_exists(admin, place_.database);
    if (created_) {
      create_database(admin);
      return;
    }
    const std::vector<std::string> objects = objects_of(admin, place_.database);
    if (request_.mode == RestoreMode::create && !objects.empty()) {
      throw Error(ErrorCode::refused,
                  cat("database ", util::printable(place_.database), " is not empty: it holds ",
                      util::printable(objects.front()), " and ", objects.size() - 1, " more"),
                  "use --mode replace to remove what is there, or --mode append to add rows");
    }
    if (append()) return;
    if (choice_.whole) {
      empty_database(admin, place_.database);
      for (const Definition& definition : choice_.definitions) {
        if (definition.kind != Kind::database) continue;
        admin.execute(database_statement("ALTER", definition, source(), place_.database));
      }
      return;
    }
    Connection inside(run_.door(), place_.database);
    set_binlog(inside);
    drop_chosen(inside);
  }

  void create_database(Connection& admin) {
    Definition plain;
    for (const Definition& definition : choice_.definitions) {
      if (definition.kind == Kind::database) plain = definition;
    }
    admin.execute(database_statement("CREATE", plain, source(), place_.database));
  }

  void drop_chosen(Connection& inside) {
    drop_tables(inside, choice_.tables);
    for (const Definition& definition : choice_.definitions) {
      if (definition.kind != Kind::sequence) continue;
      inside.execute(cat("DROP SEQUENCE IF EXISTS ", quote_name(definition.name)));
    }
  }

  std::string source() const { return source_database(reader_); }

  void set_binlog(Connection& connection) {
    if (!scratch_ && place_.choices.binlog == Binlog::on) return;
    if (connection.try_execute("SET SESSION sql_log_bin=0") || scratch_) return;
    throw Error(ErrorCode::permission_denied,
                "option binlog=off: the login may not change sql_log_bin",
                "grant BINLOG ADMIN (SYSTEM_VARIABLES_ADMIN on MySQL), or leave the option out");
  }

  void fill() {
    Crew crew;
    const unsigned workers = append() ? 1 : std::max(1U, request_.scope.parallel);
    for (unsigned i = 0; i < workers; ++i) {
      crew.push_back(std::make_unique<Connection>(run_.door(), place_.database));
      set_binlog(*crew.back());
    }
    Connection& first = *crew.front();
    server_ = read_server(first);
    for (const auto& connection : crew) prepare_loading(*connection, server_);
    if (append()) {
      refuse_triggers(first);
      first.execute("SET SESSION autocommit=0");
    }
    make_tables(first);
    load(crew);
    if (append()) first.execute("COMMIT");
    finish_tables(crew);
    if (!append()) make_rest(first);
    crew.clear();
    prove_result();
  }

  void make_tables(Connection& connection) {
    const std::vector<std::string> objects =
        append() ? objects_of(connection, place_.database) : std::vector<std::string>();
    const auto exists = [&](const std::string& name) {
      return std::find(objects.begin(), objects.end(), cat("table ", name)) != objects.end();
    };
    for (const Kind kind : {Kind::sequence, Kind::table}) {
      for (const Definition& definition : choice_.definitions) {
        if (definition.kind != kind || exists(definition.name)) continue;
        task_.check();
        try {
          kind == Kind::sequence ? make_sequence(connection, definition)
                                 : make_table(connection, definition);
        } catch (const Error& error) {
          throw error.with_context(cat("creating ", util::to_lower(kind_name(kind)), " ",
                                       util::printable(definition.name)));
        }
      }
    }
  }

  void make_sequence(Connection& connection, const Definition& definition) {
    connection.execute(definition.sql);
    const std::size_t comma = definition.status.find(',');
    connection.execute(cat("SELECT SETVAL(", quote_name(definition.name), ", ",
                           definition.status.substr(0, comma), ", 0, ",
                           definition.status.substr(comma + 1), ")"));
  }

  void make_table(Connection& connection, const Definition& definition) {
    // A default that draws from a sequence names its database.
    const std::string sql = rename_database(definition.sql, source(), place_.database);
    TableMaking making{sql, {}, {}};
    if (row_bytes(reader_, definition.name) >= kLateKeysBytes && keys_may_come_later(sql)) {
      making = split_table(sql, definition.name);
    }
    connection.execute(making.create);
    if (!making.keys.empty()) late_keys_.push_back({definition.name, making.keys});
    if (!making.foreign.empty()) late_foreign_.push_back({definition.name, making.foreign});
  }

  void refuse_triggers(Connection& connection) {
    for (const Row& row : connection.query(
             cat("SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE "
                 "TRIGGER_SCHEMA=",
                 quote_text(place_.database), " AND EVENT_MANIPULATION='INSERT'"))) {
      const std::string table = row.at(0).value_or("");
      if (std::find(choice_.tables.begin(), choice_.tables.end(), table) == choice_.tables.end()) {
        continue;
      }
      throw Error(ErrorCode::refused,
                  cat("appending to table ", util::printable(table), " would fire its trigger ",
                      util::printable(row.at(1).value_or(""))),
                  "drop the trigger for the time of the restore, or use --mode replace");
    }
  }

  void load(Crew& crew) {
    const bool local_infile = allows_local_infile(*crew.front());
    if (!local_infile) {
      task_.info("the server does not take LOAD DATA LOCAL (local_infile is off): using INSERT");
    }
    std::map<std::string, StoredTable> tables;
    for (StoredTable& table : read_schema(*crew.front(), place_.database).tables) {
      tables[table.name] = std::move(table);
    }
    struct Load {
      const StoredTable* table;
      std::string stream;
      std::uint64_t bytes;
    };
    std::vector<Load> loads;
    for (const std::string& name : choice_.tables) {
      for (const std::string& stream : row_streams(reader_, name)) {
        loads.push_back({&tables[name], stream, stream_bytes(stream)});
        task_.progress().bytes_total += loads.back().bytes;
      }
    }
    task_.progress().streams_total = loads.size();
    std::stable_sort(loads.begin(), loads.end(),
                     [](const Load& a, const Load& b) { return a.bytes > b.bytes; });
    std::vector<Unit> units;
    for (const Load& one : loads) {
      units.push_back([this, one, local_infile](Connection& connection) {
        load_stream(connection, reader_, one.stream, *one.table, local_infile, task_);
        ++task_.progress().streams_done;
      });
    }
    if (!units.empty()) run_units(run_, crew, units, task_);
  }

  std::uint64_t stream_bytes(const std::string& name) const {
    for (const repository::StreamInfo& stream : reader_.streams()) {
      if (stream.name == name) return stream.bytes;
    }
    return 0;
  }

  void finish_tables(Crew& crew) {
    for (const auto* list : {&late_keys_, &late_foreign_}) {
      std::vector<Unit> units;
      for (const auto& [table, sql] : *list) {
        units.push_back([&table = table, &sql = sql](Connection& connection) {
          try {
            connection.execute(sql);
          } catch (const Error& error) {
            throw error.with_context(cat("keys of table ", util::printable(table)));
          }
        });
      }
      if (!units.empty()) run_units(run_, crew, units, task_);
    }
  }

  void make_rest(Connection& connection) {
    const Making making{source(), place_.database, place_.choices.definers, !scratch_};
    // Accounts before what they define, and again afterwards: grants may name what they are for.
    std::optional<MissingAccounts> accounts;
    if (place_.choices.restore_users && !scratch_) {
      accounts.emplace(connection, reader_, task_);
      accounts->make(connection);
    }
    result_.warnings = make_programs(connection, choice_.definitions, making);
    if (!accounts) return;
    accounts->make(connection);
    for (std::string& warning : accounts->warnings())
      result_.warnings.push_back(std::move(warning));
  }

  void prove_result() {
    // The rows were counted when they went in.
    util::Progress uncounted;
    util::Task task(task_.stop(), uncounted, {});
    Scope scope;
    scope.parallel = request_.scope.parallel;
    Snapshot snapshot = open_readers(run_, place_.database, scope);
    std::erase_if(snapshot.schema.tables, [&](const StoredTable& table) {
      return std::find(choice_.tables.begin(), choice_.tables.end(), table.name) ==
             choice_.tables.end();
    });
    result_.fingerprint = prove(run_, snapshot, scope, task);
    if (choice_.whole && !append()) prove_definitions(snapshot, task);
  }

  void prove_definitions(Snapshot& snapshot, util::Task& task) {
    auto found =
        read_definitions(*snapshot.readers.front(), place_.database, snapshot.schema, true, task);
    adopt_choices(found);
    result_.fingerprint.push_back({kDefinitionProof, hash_definitions(found, place_.database)});
    tell_differences(found);
  }

  // What the restore was told to change is not a difference: definers with definer=login, the
  // status of events in a drill.
  void adopt_choices(std::vector<Definition>& found) const {
    for (Definition& definition : found) {
      const Definition* wanted = find(choice_.definitions, definition);
      if (wanted == nullptr) continue;
      // A view may not open here because its definer is missing; its text is compared all the same.
      definition.broken = wanted->broken;
      if (place_.choices.definers == Definers::login) definition.definer = wanted->definer;
      if (scratch_ && definition.kind == Kind::event) definition.status = wanted->status;
    }
  }

  static const Definition* find(const std::vector<Definition>& list, const Definition& like) {
    for (const Definition& definition : list) {
      if (definition.kind == like.kind && definition.name == like.name) return &definition;
    }
    return nullptr;
  }

  void tell_differences(const std::vector<Definition>& found) {
    for (const Definition& wanted : choice_.definitions) {
      if (wanted.broken) continue;
      const Definition* actual = find(found, wanted);
      if (actual != nullptr &&
          hash_definitions({wanted}, source()) == hash_definitions({*actual}, place_.database)) {
        continue;
      }
      result_.warnings.push_back(cat(util::to_lower(kind_name(wanted.kind)), " ",
                                     util::printable(wanted.name),
                                     " is defined differently after the restore"));
      task_.warn(result_.warnings.back());
    }
  }

  // On connections of its own: those of the run may be stopped or inside a failed statement.
  void tidy_up() {
    try {
      if (append()) return;  // its transaction went with its connection
      Connection admin(run_.quiet_door(), "");
      set_binlog(admin);
      if (created_) {
        admin.execute(cat("DROP DATABASE IF EXISTS ", quote_name(place_.database)));
      } else if (choice_.whole) {
        empty_database(admin, place_.database);
      } else {
        Connection inside(run_.quiet_door(), place_.database);
        set_binlog(inside);
        drop_chosen(inside);
      }
    } catch (const Error& error) {
      task_.warn(cat("what the failed restore left in database ", util::printable(place_.database),
                     " could not be removed: ", error.message()));
    }
  }

  const Place& place_;
  const bool scratch_;
  repository::ArtifactReader& reader_;
  const RestoreRequest& request_;
  util::Task& task_;
  Run run_;
  Server server_;
  Choice choice_;
  bool created_ = false;
  std::vector<std::pair<std::string, std::string>> late_keys_;  // table, statement
  std::vector<std::pair<std::string, std::string>> late_foreign_;
  RestoreResult result_;
};
}  // namespace

RestorePlan plan_database_restore(const Place& place, const std::string& password,
                                  repository::ArtifactReader& reader, const RestoreRequest& request,
                                  util::Task& task) {
  const Choice choice = choose_definitions(reader, request.scope, task);
  Run run(place, password, task);
  Connection connection(run.door(), "");
  RestorePlan plan;
  plan.tables = choice.tables;
  plan.target_exists = database_exists(connection, place.database);
  std::vector<std::string> objects;
  if (plan.target_exists) objects = objects_of(connection, place.database);
  plan.target_empty = objects.empty();
  const std::string target = util::printable(place.database);
  if (!plan.target_exists) plan.steps.push_back(cat("create database ", target));
  if (!plan.target_empty) {
    switch (request.mode) {
      case RestoreMode::create:
        plan.steps.push_back(cat("refuse: database ", target, " holds ", objects.size(),
                                 " objects; --mode replace or append would be needed"));
        return plan;
      case RestoreMode::replace:
        plan.steps.push_back(choice.whole
                                 ? cat("remove the ", objects.size(), " objects of ", target)
                                 : cat("remove the chosen tables from ", target));
        break;
      case RestoreMode::append:
        plan.steps.push_back(
            "add rows to the tables that exist, and create those that are missing");
        break;
    }
  }
  plan.steps.push_back(cat("create ", choice.tables.size(), " tables and load their rows with ",
                           std::max(1U, request.scope.parallel), " connections"));
  plan.steps.push_back("build the keys of large tables, and the foreign keys");
  if (choice.whole && request.mode != RestoreMode::append) {
    plan.steps.push_back("create routines, views, triggers and events");
  }
  plan.steps.push_back("compare row counts, content hashes and definitions with the proof");
  return plan;
}

RestoreResult restore_database(const Place& place, const std::string& password, bool scratch,
                               repository::ArtifactReader& reader, const RestoreRequest& request,
                               util::Task& task) {
  return Restore(place, password, scratch, reader, request, task).restore();
}

}  // namespace dbbackup::engine::mysql
