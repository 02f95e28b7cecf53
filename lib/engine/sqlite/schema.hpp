// What a SQLite database consists of, as far as reading and recreating its rows needs it, and which
// of it a scope chooses.
//
// A virtual table (FTS5, R-Tree) has no rows of its own: its content is the rows of its shadow
// tables, which are ordinary tables. Choosing a virtual table therefore chooses its shadow tables.
//
// Threads: values and functions of one connection.
// Errors: those of the connection; not_found for a pattern that matches nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::engine::sqlite_engine {

// A row of sqlite_schema.
struct SchemaEntry {
  std::string type;  // table, index, view, trigger
  std::string name;
  std::string table;
  std::string sql;  // empty for automatic indexes
  bool is_virtual = false;
};

struct Column {
  std::string name;
  bool generated = false;
};

// A table that has rows of its own.
struct StoredTable {
  std::string name;
  std::vector<Column> columns;
  // The name under which the rowid can be selected: rowid, _rowid_ or oid. Empty for WITHOUT ROWID
  // tables and where columns carry all three names (then the rowids cannot be read and are neither
  // proved nor restored).
  std::string rowid;
  // No INTEGER PRIMARY KEY stands for the rowid: it is the first field of each row.
  bool rowid_is_hidden = false;
  std::string owner;  // the virtual table of a shadow table

  std::vector<std::string> fields() const;  // names in the order of a row's fields
  // SELECT of all fields; `condition` may be empty.
  std::string select(const std::string& condition) const;
};

struct Schema {
  std::vector<SchemaEntry> entries;  // in order of creation
  std::vector<StoredTable> tables;
};

Schema read_schema(sqlite::Connection& connection);

// Tables whose name SQLite reserves, like sqlite_sequence.
bool is_internal(std::string_view name);

// The part of a schema that a scope chooses: everything() keeps all; otherwise tables of users with
// their indexes and triggers.
Schema choose(const Schema& schema, const Scope& scope);

// The condition a scope puts on a table's rows; empty for none.
std::string condition_of(const Scope& scope, const std::string& table);

}  // namespace dbbackup::engine::sqlite_engine
