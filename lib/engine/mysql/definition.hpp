// The objects of a database as the statements that make them again.
//
// Every object is one line of the stream schema/definitions, in the row text (a definition may hold
// bytes of any character set, so JSON would not do). Definer and event status are kept apart from
// the statement: a restore may have to choose another definer, and a drill must not let events run.
//
// The proof "(definitions)" is the RowHash of these lines with the database's own name taken out,
// so that a restore under another name gives the same hash.
//
// Threads: values and functions of one connection. Errors: those of the connection;
// verification_failed for a malformed line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/mysql/schema.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mysql {

inline constexpr const char* kDefinitionStream = "schema/definitions";
inline constexpr const char* kDefinitionProof = "(definitions)";

enum class Kind {
  database,
  table,
  sequence,
  view,
  function,
  procedure,
  package,
  package_body,
  trigger,
  event
};
std::string_view kind_name(Kind kind);  // as SQL has it: "PACKAGE BODY"

struct Definition {
  Kind kind = Kind::table;
  std::string name;
  std::string table;    // triggers: whose
  std::string sql;      // without definer and, for events, without status
  std::string definer;  // as SQL: `root`@`localhost`; empty: none
  std::string status;   // events: ENABLE, DISABLE, ...; sequences: "next,round"
  std::string sql_mode;
  std::string client_charset;
  std::string connection_collation;
  std::string database_collation;
  std::string time_zone;  // events
  bool broken = false;    // a view that its server cannot open

  // The statement, with a definer (may be empty) and a status put back.
  std::string statement(const std::string& with_definer, const std::string& with_status) const;
};

// `everything` false: only tables and sequences of the schema and the tables' triggers.
std::vector<Definition> read_definitions(Connection& connection, const std::string& database,
                                         const Schema& schema, bool everything, util::Task& task);

std::string definition_line(const Definition& definition);  // without newline
Definition parse_definition(std::string_view line);

// Behind the quoted text or name that begins at `at`.
std::size_t skip_quoted(std::string_view sql, std::size_t at);

// The definition as it would look in a database of another name: identifiers that name the database
// itself are replaced. Text inside quotes and comments is left alone.
std::string rename_database(const std::string& sql, const std::string& from, const std::string& to);

// What a set of definitions hashes to, whatever its database is called.
repository::RowHash hash_definitions(const std::vector<Definition>& definitions,
                                     const std::string& database);

}  // namespace dbbackup::engine::mysql
