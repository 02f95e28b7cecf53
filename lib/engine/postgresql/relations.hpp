// The tables of a database: which there are, which a scope chooses, and the COPY statements that
// read them.
//
// The order of rows decides how much of tomorrow's backup is stored already. Rows come by primary
// key where the index is cheap to follow (a small table, or one that lies in key order), otherwise
// as they lie in the table. Large tables are cut on a fixed grid, whose lines do not move when the
// table grows: ranges of a whole-number key, or of blocks.
//
// Threads: values; the functions use the connection given. Errors: those of Connection; not_found
// with a suggestion for a pattern that matches nothing.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/postgresql/connection.hpp"
#include "util/json.hpp"

namespace dbbackup::engine::postgresql {

struct TableColumn {
  std::string name;
  std::string type;
  bool generated = false;
};

struct StoredTable {
  std::string schema;
  std::string name;
  std::string kind;                  // pg_class.relkind: r, p, f, m
  std::vector<std::string> parents;  // partitioned tables above it, as names of tables
  bool unlogged = false;
  std::vector<TableColumn> columns;
  std::vector<std::string> key;  // columns of the primary key
  std::string key_type;          // of its first column
  double correlation = 0;        // of its first column with the place of the rows
  std::uint64_t bytes = 0;
  std::string condition;  // which rows, of an extension's configuration
  std::string filter;     // which rows, as the user wants it; may mean other rows tomorrow

  std::string id() const;  // what users call it: "public.orders"
  std::string sql() const { return quote_name(schema, name); }
  bool has_rows() const { return kind == "r"; }
};

// A piece of a table that is one stream. `where` is empty for a whole table.
struct Part {
  std::string stream;
  std::string where;
};

// "public.orders"; parts with a dot, a quote or a slash are quoted, so that no two tables share
// one.
std::string table_id(std::string_view schema, std::string_view name);

// Tables of users and configuration tables of extensions, with columns and keys. Rows of
// partitioned tables are in their partitions.
std::vector<StoredTable> read_tables(Connection& connection);
// Those the scope chooses; a pattern matches "schema.table" or the name alone, and a partitioned
// table brings its partitions. Conditions of the scope are entered.
std::vector<StoredTable> choose(std::vector<StoredTable> tables, const Scope& scope);

// Whether rows of this name are chosen; for tables of artifacts.
bool is_chosen(const std::vector<std::string>& names, const Scope& scope);
void require_matches(const Scope& scope, const std::vector<StoredTable>& tables);

// Asks for the bounds of large tables.
std::vector<Part> parts_of(Connection& connection, const StoredTable& table);

// COPY ... TO STDOUT for one part, in the table's order when `ordered`.
std::string copy_out_sql(const StoredTable& table, const std::string& where,
                         const std::string& encoding, bool ordered);
std::string copy_in_sql(const StoredTable& table, const std::string& encoding, bool freeze);

// One line of the stream meta/tables.
std::string table_line(const StoredTable& table, const std::vector<Part>& parts);
StoredTable table_of_line(std::string_view line, std::vector<std::string>& streams);

}  // namespace dbbackup::engine::postgresql
