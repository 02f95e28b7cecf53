#include "engine/mysql/definition.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "engine/row_text.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::array<std::pair<Kind, std::string_view>, 10> kKinds = {
    {{Kind::database, "DATABASE"},
     {Kind::table, "TABLE"},
     {Kind::sequence, "SEQUENCE"},
     {Kind::view, "VIEW"},
     {Kind::function, "FUNCTION"},
     {Kind::procedure, "PROCEDURE"},
     {Kind::package, "PACKAGE"},
     {Kind::package_body, "PACKAGE BODY"},
     {Kind::trigger, "TRIGGER"},
     {Kind::event, "EVENT"}}};

// What stands for the database's own name where two databases are compared.
constexpr const char* kAnyDatabase = "\x01";

bool is_quote(char c) { return c == '`' || c == '"' || c == '\''; }

// Cuts " DEFINER=`user`@`host`" out of the head of a CREATE statement and returns what it names.
std::string take_definer(std::string& sql) {
  static constexpr std::string_view kWord = " DEFINER=";
  // The head: before any parenthesis or body. SHOW CREATE always writes it near the start.
  const std::size_t start = sql.find(kWord);
  if (start == std::string::npos || start > 64) return {};
  std::size_t end = start + kWord.size();
  const auto part = [&] {
    if (end < sql.size() && is_quote(sql[end])) {
      end = skip_quoted(sql, end);
    } else {
      while (end < sql.size() && sql[end] != ' ' && sql[end] != '@') ++end;
    }
  };
  part();
  if (end < sql.size() && sql[end] == '@') {
    ++end;
    part();
  }
  std::string definer = sql.substr(start + kWord.size(), end - start - kWord.size());
  sql.erase(start, end - start);
  return definer;
}

constexpr std::array<std::string_view, 2> kPreserve = {" ON COMPLETION PRESERVE",
                                                       " ON COMPLETION NOT PRESERVE"};

// Where an event's status stands: behind ON COMPLETION. npos when there is none.
std::size_t status_place(const std::string& sql) {
  std::size_t place = std::string::npos;
  for (const std::string_view clause : kPreserve) {
    const std::size_t found = sql.find(clause);
    if (found != std::string::npos && (place == std::string::npos || found < place)) {
      place = found + clause.size();
    }
  }
  return place;
}

std::string take_status(std::string& sql) {
  const std::size_t place = status_place(sql);
  if (place == std::string::npos) return {};
  // Longest first: each begins with the next.
  for (const std::string_view status :
       {" DISABLE ON SLAVE", " DISABLE ON REPLICA", " DISABLE", " ENABLE"}) {
    if (sql.compare(place, status.size(), status) != 0) continue;
    sql.erase(place, status.size());
    return std::string(status.substr(1));
  }
  return {};
}

std::string at(const Row& row, std::size_t i) {
  return i < row.size() && row[i] ? *row[i] : std::string();
}

Definition read_table(Connection& connection, const std::string& name) {
  const auto rows = connection.query(cat("SHOW CREATE TABLE ", quote_name(name)));
  Definition definition;
  definition.kind = Kind::table;
  definition.name = name;
  definition.sql = at(rows.at(0), 1);
  return definition;
}

Definition read_sequence(Connection& connection, const std::string& name) {
  const auto rows = connection.query(cat("SHOW CREATE SEQUENCE ", quote_name(name)));
  const auto state =
      connection.query(cat("SELECT next_not_cached_value, cycle_count FROM ", quote_name(name)));
  Definition definition;
  definition.kind = Kind::sequence;
  definition.name = name;
  definition.sql = at(rows.at(0), 1);
  definition.status = cat(at(state.at(0), 0), ",", at(state.at(0), 1));
  return definition;
}

Definition read_view(Connection& connection, const std::string& name) {
  const auto rows = connection.query(cat("SHOW CREATE VIEW ", quote_name(name)));
  Definition definition;
  definition.kind = Kind::view;
  definition.name = name;
  definition.sql = at(rows.at(0), 1);
  definition.client_charset = at(rows.at(0), 2);
  definition.connection_collation = at(rows.at(0), 3);
  definition.definer = take_definer(definition.sql);
  definition.broken = !connection.try_execute(cat("SELECT 1 FROM ", quote_name(name), " LIMIT 0"));
  return definition;
}

// Routines and triggers: name, sql_mode, statement, client charset, connection and database
// collation.
Definition read_program(Connection& connection, Kind kind, const std::string& name) {
  const auto rows = connection.query(cat("SHOW CREATE ", kind_name(kind), " ", quote_name(name)));
  Definition definition;
  definition.kind = kind;
  definition.name = name;
  definition.sql_mode = at(rows.at(0), 1);
  definition.sql = at(rows.at(0), 2);
  definition.client_charset = at(rows.at(0), 3);
  definition.connection_collation = at(rows.at(0), 4);
  definition.database_collation = at(rows.at(0), 5);
  if (definition.sql.empty()) {
    throw Error(ErrorCode::permission_denied,
                cat("the login may not see the body of ", util::to_lower(kind_name(kind)), " ",
                    util::printable(name)),
                "grant SHOW CREATE ROUTINE (or SELECT on mysql.proc), or SHOW_ROUTINE on MySQL 8");
  }
  definition.definer = take_definer(definition.sql);
  return definition;
}

Definition read_event(Connection& connection, const std::string& name) {
  const auto rows = connection.query(cat("SHOW CREATE EVENT ", quote_name(name)));
  Definition definition;
  definition.kind = Kind::event;
  definition.name = name;
  definition.sql_mode = at(rows.at(0), 1);
  definition.time_zone = at(rows.at(0), 2);
  definition.sql = at(rows.at(0), 3);
  definition.client_charset = at(rows.at(0), 4);
  definition.connection_collation = at(rows.at(0), 5);
  definition.database_collation = at(rows.at(0), 6);
  definition.definer = take_definer(definition.sql);
  definition.status = take_status(definition.sql);
  return definition;
}

std::vector<std::string> names(Connection& connection, const std::string& sql) {
  std::vector<std::string> list;
  for (const Row& row : connection.query(sql)) list.push_back(row.at(0).value_or(""));
  return list;
}

void read_routines(Connection& connection, const std::string& database,
                   std::vector<Definition>& definitions) {
  // Packages last in the alphabet of kinds, bodies behind their packages.
  for (const Kind kind : {Kind::function, Kind::procedure, Kind::package, Kind::package_body}) {
    for (const std::string& name :
         names(connection, cat("SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE "
                               "ROUTINE_SCHEMA=",
                               quote_text(database), " AND ROUTINE_TYPE=",
                               quote_text(kind_name(kind)), " ORDER BY ROUTINE_NAME"))) {
      definitions.push_back(read_program(connection, kind, name));
    }
  }
}

// In the order in which they fire: that is the order in which they must be made.
void read_triggers(Connection& connection, const std::string& database, const Schema& schema,
                   std::vector<Definition>& definitions) {
  const auto rows = connection.query(
      cat("SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE "
          "TRIGGER_SCHEMA=",
          quote_text(database),
          " ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER"));
  for (const Row& row : rows) {
    const bool wanted =
        std::any_of(schema.tables.begin(), schema.tables.end(),
                    [&](const StoredTable& table) { return table.name == row[1].value_or(""); });
    if (!wanted) continue;
    definitions.push_back(read_program(connection, Kind::trigger, at(row, 0)));
    definitions.back().table = at(row, 1);
  }
}
}  // namespace

std::string_view kind_name(Kind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return {};
}

std::string Definition::statement(const std::string& with_definer,
                                  const std::string& with_status) const {
  std::string text = sql;
  if (kind == Kind::event && !with_status.empty()) {
    const std::size_t place = status_place(text);
    if (place != std::string::npos) text.insert(place, cat(" ", with_status));
  }
  if (!definer.empty() && !with_definer.empty()) {
    std::size_t place = std::string_view("CREATE").size();
    // "CREATE ALGORITHM=MERGE DEFINER=... SQL SECURITY ... VIEW"
    static constexpr std::string_view kAlgorithm = " ALGORITHM=";
    if (text.compare(place, kAlgorithm.size(), kAlgorithm) == 0) {
      place = text.find(' ', place + 1);
    }
    text.insert(place, cat(" DEFINER=", with_definer));
  }
  return text;
}

// Doubled quotes belong to the text, and in '...' also what a backslash escapes.
std::size_t skip_quoted(std::string_view sql, std::size_t at) {
  const char quote = sql[at++];
  for (; at < sql.size(); ++at) {
    if (sql[at] == '\\' && quote != '`') {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 < sql.size() && sql[at + 1] == quote) {
        ++at;
      } else {
        return at + 1;
      }
    }
  }
  return sql.size();
}

std::vector<Definition> read_definitions(Connection& connection, const std::string& database,
                                         const Schema& schema, bool everything, util::Task& task) {
  std::vector<Definition> definitions;
  if (everything) {
    Definition own;
    own.kind = Kind::database;
    own.sql = at(connection.query(cat("SHOW CREATE DATABASE ", quote_name(database))).at(0), 1);
    definitions.push_back(std::move(own));
  }
  for (const StoredTable& table : schema.tables) {
    definitions.push_back(read_table(connection, table.name));
    task.check();
  }
  for (const std::string& name : schema.sequences) {
    definitions.push_back(read_sequence(connection, name));
  }
  if (everything) {
    for (const std::string& name : schema.views) {
      definitions.push_back(read_view(connection, name));
    }
    read_routines(connection, database, definitions);
  }
  read_triggers(connection, database, schema, definitions);
  if (everything) {
    for (const std::string& name : names(
             connection, cat("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA=",
                             quote_text(database), " ORDER BY EVENT_NAME"))) {
      definitions.push_back(read_event(connection, name));
    }
  }
  return definitions;
}

std::string definition_line(const Definition& definition) {
  std::string line;
  bool first = true;
  for (const std::string_view field :
       {kind_name(definition.kind), std::string_view(definition.name),
        std::string_view(definition.table), std::string_view(definition.sql),
        std::string_view(definition.definer), std::string_view(definition.status),
        std::string_view(definition.sql_mode), std::string_view(definition.client_charset),
        std::string_view(definition.connection_collation),
        std::string_view(definition.database_collation), std::string_view(definition.time_zone),
        std::string_view(definition.broken ? "1" : "0")}) {
    if (!first) line += '\t';
    append_row_field(field, line);
    first = false;
  }
  return line;
}

Definition parse_definition(std::string_view line) {
  std::vector<std::optional<std::string>> fields;
  split_row(line, fields);
  constexpr std::size_t kFields = 12;
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& known) {
    return !fields.empty() && fields[0] && *fields[0] == known.second;
  });
  if (fields.size() < kFields || kind == kKinds.end()) {
    throw Error(ErrorCode::verification_failed,
                cat("stream ", kDefinitionStream, " has a malformed row"));
  }
  const auto take = [&](std::size_t i) { return fields[i].value_or(""); };
  Definition definition;
  definition.kind = kind->first;
  definition.name = take(1);
  definition.table = take(2);
  definition.sql = take(3);
  definition.definer = take(4);
  definition.status = take(5);
  definition.sql_mode = take(6);
  definition.client_charset = take(7);
  definition.connection_collation = take(8);
  definition.database_collation = take(9);
  definition.time_zone = take(10);
  definition.broken = take(11) == "1";
  return definition;
}

std::string rename_database(const std::string& sql, const std::string& from,
                            const std::string& to) {
  const std::string own = quote_name(from);
  const std::string other = quote_name(to);
  std::string renamed;
  std::size_t copied = 0;
  for (std::size_t i = 0; i < sql.size();) {
    if (!is_quote(sql[i])) {
      ++i;
      continue;
    }
    const std::size_t end = skip_quoted(sql, i);
    if (sql.compare(i, end - i, own) == 0 && end < sql.size() && sql[end] == '.') {
      renamed.append(sql, copied, i - copied);
      renamed += other;
      copied = end;
    }
    i = end;
  }
  return renamed.append(sql, copied);
}

repository::RowHash hash_definitions(const std::vector<Definition>& definitions,
                                     const std::string& database) {
  repository::RowHash hash;
  for (Definition definition : definitions) {
    if (definition.broken) continue;
    if (definition.kind == Kind::database) {
      const std::string own = quote_name(database);
      const std::size_t place = definition.sql.find(own);
      if (place != std::string::npos) definition.sql.replace(place, own.size(), kAnyDatabase);
    } else {
      definition.sql = rename_database(definition.sql, database, kAnyDatabase);
    }
    hash.add(util::as_bytes(definition_line(definition)));
  }
  return hash;
}

}  // namespace dbbackup::engine::mysql
