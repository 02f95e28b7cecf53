// What a database consists of, as far as reading and loading its rows needs it, and which of it a
// scope chooses.
//
// Threads: values and functions of one connection. Errors: those of the connection; not_found for a
// pattern that matches nothing, usage when patterns leave nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/mysql/connection.hpp"

namespace dbbackup::engine::mysql {

struct Server {
  std::string version;  // "10.11.19-MariaDB-log"
  bool mariadb = false;
  unsigned number = 0;  // 101119, 80036
};
Server read_server(Connection& connection);

struct StoredColumn {
  std::string name;
  std::string type;     // "varchar", lower case
  std::string charset;  // of text columns; empty otherwise
};

struct StoredTable {
  std::string name;
  std::string engine;
  bool versioned = false;        // MariaDB system versioning: the history belongs to the rows
  bool bounds_named = false;     // versioned by columns of its own
  bool transactional = false;    // read from a snapshot
  bool has_rows = true;          // false: the rows live elsewhere (FEDERATED, MERGE, ...)
  std::uint64_t data_bytes = 0;  // as the server estimates
  std::uint64_t estimated_rows = 0;
  std::vector<StoredColumn> columns;  // that hold data: no generated ones
  std::vector<std::string> key;       // columns of the primary key; empty without one
  bool key_by_prefix = false;         // its order is not that of the whole values
  bool auto_increment = false;
  bool auto_increment_leads_key = false;
};

struct Schema {
  std::vector<StoredTable> tables;  // by name
  std::vector<std::string> sequences;
  std::vector<std::string> views;
};

Schema read_schema(Connection& connection, const std::string& database);

// The part that a scope chooses: everything() keeps all; otherwise tables and sequences.
Schema choose(const Schema& schema, const Scope& scope);
std::string condition_of(const Scope& scope, const std::string& table);

// "integer" types, by which a key can be cut into ranges.
bool is_integer_type(std::string_view type);
// What LOAD DATA must be told to convert, because these types do not take bytes.
bool needs_text(std::string_view type);

}  // namespace dbbackup::engine::mysql
