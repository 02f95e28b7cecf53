#include "engine/postgresql/relations.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;
namespace json = util::json;

// A table this small is sorted in memory when its index does not help.
constexpr std::uint64_t kSmallTable = std::uint64_t{8} << 20U;
constexpr double kInKeyOrder = 0.9;
// Parts: small enough for several workers to share one table evenly, large enough for the start of
// each to cost nothing, and no more than a few hundred for the largest tables.
constexpr std::uint64_t kSmallestPart = std::uint64_t{32} << 20U;
constexpr std::uint64_t kMostParts = 256;
constexpr std::uint64_t kBlockBytes = 8192;
constexpr int kTidRangeVersion = 14;  // ranges of ctid are scanned as ranges from here on

bool needs_quotes(std::string_view part) {
  return part.empty() || part.find_first_of("./\"") != std::string_view::npos;
}

bool any_match(const std::vector<std::string>& patterns, const std::vector<std::string>& names) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return util::glob_match(pattern, name); });
  });
}

// What a pattern can name: the table, with and without its schema, and the partitioned tables
// above.
std::vector<std::string> names_of(const StoredTable& table) {
  std::vector<std::string> names{table.id(), table.name};
  for (const std::string& parent : table.parents) {
    names.push_back(parent);
    const std::size_t dot = parent.find('.');
    if (dot != std::string::npos) names.push_back(parent.substr(dot + 1));
  }
  return names;
}

void require_match(const std::string& pattern, const std::vector<StoredTable>& tables,
                   const char* what) {
  std::vector<std::string> known;
  for (const StoredTable& table : tables) {
    if (any_match({pattern}, names_of(table))) return;
    known.push_back(table.id());
    known.push_back(table.name);
  }
  const auto near = util::nearest(pattern, known);
  throw Error(ErrorCode::not_found,
              cat(what, " \"", util::printable(pattern), "\" matches no table"),
              near ? cat("did you mean \"", util::printable(*near), "\"?")
                   : "patterns match names like \"public.orders\" or \"orders\"");
}

bool is_whole_number(const std::string& type) {
  return type == "smallint" || type == "integer" || type == "bigint";
}

std::string column_list(const StoredTable& table) {
  std::string list;
  for (const TableColumn& column : table.columns) {
    if (column.generated) continue;
    list += cat(list.empty() ? "" : ", ", quote_name(column.name));
  }
  return list;
}

void read_columns(Connection& connection, const std::string& oids,
                  std::map<std::string, StoredTable*>& by_oid) {
  const Result columns = connection.query(
      "SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
      "a.attgenerated <> '' FROM pg_catalog.pg_attribute a "
      "WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped "
      "ORDER BY a.attrelid, a.attnum",
      {oids});
  for (std::size_t i = 0; i < columns.rows(); ++i) {
    by_oid.at(columns.text(i, 0))
        ->columns.push_back({columns.text(i, 1), columns.text(i, 2), columns.boolean(i, 3)});
  }
}

void read_keys(Connection& connection, const std::string& oids,
               std::map<std::string, StoredTable*>& by_oid) {
  const Result keys = connection.query(
      "SELECT i.indrelid, a.attname, pg_catalog.format_type(a.atttypid, -1), "
      "coalesce(s.correlation, 0) FROM pg_catalog.pg_index i "
      "CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) "
      "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
      "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname "
      "AND s.attname = a.attname AND NOT s.inherited AND k.place = 1 "
      "WHERE i.indisprimary AND i.indisvalid AND i.indrelid = ANY($1::oid[]) "
      "AND k.place <= i.indnkeyatts ORDER BY i.indrelid, k.place",
      {oids});
  for (std::size_t i = 0; i < keys.rows(); ++i) {
    StoredTable& table = *by_oid.at(keys.text(i, 0));
    if (table.key.empty()) {
      table.key_type = keys.text(i, 2);
      table.correlation = std::strtod(keys.text(i, 3).c_str(), nullptr);
    }
    table.key.push_back(keys.text(i, 1));
  }
}

bool follows_key(const StoredTable& table) {
  return !table.key.empty() && (table.bytes < kSmallTable || table.correlation > kInKeyOrder);
}

std::string and_also(const std::string& left, const std::string& right) {
  if (left.empty() || right.empty()) return left + right;
  return cat("(", left, "\n) AND ", right);
}

std::string part_stream(const StoredTable& table, std::int64_t cell) {
  return cat("data/", table.id(), "/", cell);
}

// The power of two of units (ids or blocks) from which on a part has at least the wanted bytes.
unsigned cell_bits(double units, std::uint64_t bytes) {
  const std::uint64_t wanted = std::max(kSmallestPart, bytes / kMostParts);
  const double width =
      units * static_cast<double>(wanted) / static_cast<double>(std::max<std::uint64_t>(bytes, 1));
  unsigned bits = 0;
  while (bits < 62 && std::ldexp(1.0, static_cast<int>(bits)) < width) ++bits;
  return bits;
}

std::vector<Part> key_parts(Connection& connection, const StoredTable& table) {
  const std::string key = quote_name(table.key.front());
  const Result bounds =
      connection.query(cat("SELECT (SELECT min(", key, ") FROM ONLY ", table.sql(),
                           "), (SELECT max(", key, ") FROM ONLY ", table.sql(), ")"));
  if (bounds.is_null(0, 0)) return {};
  const std::int64_t first = bounds.integer(0, 0);
  const std::int64_t last = bounds.integer(0, 1);
  const unsigned bits =
      cell_bits(static_cast<double>(last) - static_cast<double>(first) + 1, table.bytes);
  std::vector<Part> parts;
  // The shift rounds towards minus infinity, so cells lie on the same grid below zero.
  for (std::int64_t cell = first >> bits; cell <= (last >> bits); ++cell) {
    const std::int64_t from = cell * (std::int64_t{1} << bits);
    const std::int64_t to = from + ((std::int64_t{1} << bits) - 1);
    parts.push_back({part_stream(table, cell), cat(key, " BETWEEN ", from, " AND ", to)});
  }
  return parts;
}

std::vector<Part> block_parts(Connection& connection, const StoredTable& table) {
  const Result size = connection.query(
      cat("SELECT pg_catalog.pg_relation_size(", quote_text(table.sql()), "::regclass)"));
  const std::uint64_t blocks = static_cast<std::uint64_t>(size.integer(0, 0)) / kBlockBytes;
  if (blocks == 0) return {};
  const unsigned bits = cell_bits(static_cast<double>(blocks), table.bytes);
  std::vector<Part> parts;
  const auto last = static_cast<std::int64_t>((blocks - 1) >> bits);
  for (std::int64_t cell = 0; cell <= last; ++cell) {
    const std::string from = cat("ctid >= '(", cell << bits, ",0)'");
    const std::string to = cat(" AND ctid < '(", (cell + 1) << bits, ",0)'");
    // The last part has no end: the table may have grown since it was measured.
    parts.push_back({part_stream(table, cell), cell == last ? from : from + to});
  }
  return parts;
}
}  // namespace

std::string table_id(std::string_view schema, std::string_view name) {
  const auto part = [](std::string_view text) {
    return needs_quotes(text) ? quote_name(text) : std::string(text);
  };
  return cat(part(schema), ".", part(name));
}

std::string StoredTable::id() const { return table_id(schema, name); }

std::vector<StoredTable> read_tables(Connection& connection) {
  const Result rows = connection.query(
      "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 'u', "
      "coalesce(pg_catalog.pg_table_size(c.oid), 0), coalesce(x.condition, ''), p.parent "
      "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "LEFT JOIN (SELECT unnest(extconfig) AS id, unnest(extcondition) AS condition "
      "           FROM pg_catalog.pg_extension) x ON x.id = c.oid "
      "LEFT JOIN (SELECT inhrelid, min(inhparent) AS parent FROM pg_catalog.pg_inherits "
      "           GROUP BY inhrelid) p ON c.relispartition AND p.inhrelid = c.oid "
      "WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_' "
      "AND n.nspname <> 'information_schema' AND (x.id IS NOT NULL OR NOT EXISTS "
      "(SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass "
      "AND d.objid = c.oid AND d.deptype = 'e')) ORDER BY n.nspname, c.relname");
  std::vector<StoredTable> tables(rows.rows());
  std::map<std::string, StoredTable*> by_oid;
  std::map<std::string, std::string> parent_of;
  std::string oids = "{";
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    StoredTable& table = tables[i];
    table.schema = rows.text(i, 1);
    table.name = rows.text(i, 2);
    table.kind = rows.text(i, 3);
    table.unlogged = rows.boolean(i, 4);
    table.bytes = static_cast<std::uint64_t>(rows.integer(i, 5));
    table.condition = rows.text(i, 6);
    // pg_extension keeps the word with its condition.
    if (util::to_lower(table.condition.substr(0, 6)) == "where ") table.condition.erase(0, 6);
    by_oid[rows.text(i, 0)] = &table;
    if (!rows.is_null(i, 7)) parent_of[rows.text(i, 0)] = rows.text(i, 7);
    oids += cat(i == 0 ? "" : ",", rows.view(i, 0));
  }
  oids += "}";
  for (const auto& [oid, table] : by_oid) {
    for (auto up = parent_of.find(oid); up != parent_of.end(); up = parent_of.find(up->second)) {
      const auto parent = by_oid.find(up->second);
      if (parent == by_oid.end()) break;
      table->parents.push_back(parent->second->id());
    }
  }
  read_columns(connection, oids, by_oid);
  read_keys(connection, oids, by_oid);
  return tables;
}

bool is_chosen(const std::vector<std::string>& names, const Scope& scope) {
  return (scope.include.empty() || any_match(scope.include, names)) &&
         !any_match(scope.exclude, names);
}

void require_matches(const Scope& scope, const std::vector<StoredTable>& tables) {
  for (const std::string& pattern : scope.include) require_match(pattern, tables, "pattern");
  for (const std::string& pattern : scope.exclude) require_match(pattern, tables, "pattern");
  for (const auto& [table, condition] : scope.where) {
    require_match(table, tables, "the table of a condition,");
  }
}

std::vector<StoredTable> choose(std::vector<StoredTable> tables, const Scope& scope) {
  require_matches(scope, tables);
  std::erase_if(tables,
                [&](const StoredTable& table) { return !is_chosen(names_of(table), scope); });
  if (tables.empty() && !scope.everything()) {
    throw Error(ErrorCode::not_found, "the patterns leave no table to work on");
  }
  for (StoredTable& table : tables) {
    for (const auto& [name, condition] : scope.where) {
      if (any_match({name}, names_of(table))) {
        table.filter = and_also(table.filter, cat("(", condition, "\n)"));
      }
    }
  }
  return tables;
}

std::vector<Part> parts_of(Connection& connection, const StoredTable& table) {
  std::vector<Part> parts;
  if (table.bytes > 2 * kSmallestPart) {
    if (follows_key(table)) {
      if (is_whole_number(table.key_type)) parts = key_parts(connection, table);
    } else if (connection.major_version() >= kTidRangeVersion) {
      parts = block_parts(connection, table);
    }
  }
  if (parts.size() < 2) return {{"data/" + table.id(), {}}};
  return parts;
}

std::string copy_out_sql(const StoredTable& table, const std::string& where,
                         const std::string& encoding, bool ordered) {
  const std::string options = cat(" TO STDOUT (ENCODING ", quote_text(encoding), ")");
  const std::string columns = column_list(table);
  const std::string condition = and_also(and_also(table.condition, table.filter), where);
  const bool by_key = ordered && follows_key(table);
  if (condition.empty() && !by_key) {
    return cat("COPY ", table.sql(), columns.empty() ? "" : cat(" (", columns, ")"), options);
  }
  std::string sql = cat("COPY (SELECT ", columns, " FROM ONLY ", table.sql());
  if (!condition.empty()) sql += cat(" WHERE ", condition, "\n");
  if (by_key) {
    for (const std::string& column : table.key) {
      sql += cat(&column == &table.key.front() ? " ORDER BY " : ", ", quote_name(column));
    }
  }
  return cat(sql, ")", options);
}

std::string copy_in_sql(const StoredTable& table, const std::string& encoding, bool freeze) {
  const std::string columns = column_list(table);
  return cat("COPY ", table.sql(), columns.empty() ? "" : cat(" (", columns, ")"), " FROM STDIN (",
             freeze ? "FREEZE, " : "", "ENCODING ", quote_text(encoding), ")");
}

std::string table_line(const StoredTable& table, const std::vector<Part>& parts) {
  json::Array columns;
  for (const TableColumn& column : table.columns) {
    columns.push_back(json::Object{
        {"name", column.name}, {"type", column.type}, {"generated", column.generated}});
  }
  json::Array streams;
  for (const Part& part : parts) streams.push_back(json::Value(part.stream));
  return json::write(json::Object{{"schema", table.schema},
                                  {"name", table.name},
                                  {"kind", table.kind},
                                  {"parents", json::from_strings(table.parents)},
                                  {"columns", std::move(columns)},
                                  {"condition", table.condition},
                                  {"streams", std::move(streams)}});
}

StoredTable table_of_line(std::string_view line, std::vector<std::string>& streams) {
  const json::Value value = json::parse(line);
  const json::Object& object = value.as_object();
  StoredTable table;
  table.schema = json::get_string(object, "schema").value_or("");
  table.name = json::get_string(object, "name").value_or("");
  table.kind = json::get_string(object, "kind").value_or("r");
  table.parents = json::get_strings(object, "parents");
  table.condition = json::get_string(object, "condition").value_or("");
  if (const json::Array* columns = json::get_array(object, "columns")) {
    for (const json::Value& entry : *columns) {
      const json::Object& column = entry.as_object();
      table.columns.push_back({json::get_string(column, "name").value_or(""),
                               json::get_string(column, "type").value_or(""),
                               json::get_bool(column, "generated").value_or(false)});
    }
  }
  streams = json::get_strings(object, "streams");
  return table;
}

}  // namespace dbbackup::engine::postgresql
