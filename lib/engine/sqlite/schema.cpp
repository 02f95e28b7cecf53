#include "engine/sqlite/schema.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;

struct Listed {
  std::string kind;  // table, view, shadow, virtual
  bool without_rowid = false;
};

std::map<std::string, Listed> list_tables(sqlite::Connection& connection) {
  std::map<std::string, Listed> listed;
  auto statement =
      connection.prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'");
  while (statement.step()) {
    listed[statement.string(0)] = {statement.string(1), statement.integer(2) != 0};
  }
  return listed;
}

bool has_primary_key_index(sqlite::Connection& connection, const std::string& table) {
  auto statement = connection.prepare("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'");
  return statement.bind(1, table).step();
}

StoredTable read_table(sqlite::Connection& connection, const std::string& name,
                       bool without_rowid) {
  StoredTable table;
  table.name = name;
  int key_columns = 0;
  bool integer_key = false;
  auto statement = connection.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)");
  statement.bind(1, name);
  while (statement.step()) {
    table.columns.push_back({statement.string(0), statement.integer(3) > 1});
    if (statement.integer(2) == 0) continue;
    ++key_columns;
    integer_key = util::to_lower(statement.text(1)) == "integer";
  }
  if (without_rowid) return table;
  for (const char* candidate : {"rowid", "_rowid_", "oid"}) {
    const bool taken =
        std::any_of(table.columns.begin(), table.columns.end(),
                    [&](const Column& column) { return util::to_lower(column.name) == candidate; });
    if (!taken) {
      table.rowid = candidate;
      break;
    }
  }
  // INTEGER PRIMARY KEY is the rowid itself, unless it got an index of its own ("DESC",
  // sqlite.org/lang_createtable.html).
  const bool alias = key_columns == 1 && integer_key && !has_primary_key_index(connection, name);
  table.rowid_is_hidden = !table.rowid.empty() && !alias;
  return table;
}

// The virtual table with the longest name that `shadow` continues.
std::string owner_of(const std::string& shadow, const std::map<std::string, Listed>& listed) {
  std::string owner;
  for (const auto& [name, entry] : listed) {
    const bool continued =
        shadow.size() > name.size() + 1 && shadow.starts_with(name) && shadow[name.size()] == '_';
    if (entry.kind == "virtual" && continued && name.size() > owner.size()) owner = name;
  }
  return owner;
}

void require_matches(const std::vector<std::string>& patterns,
                     const std::vector<std::string>& names) {
  for (const std::string& pattern : patterns) {
    const bool matched = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return util::glob_match(pattern, name);
    });
    if (matched) continue;
    const auto near = util::nearest(pattern, names);
    throw util::Error(util::ErrorCode::not_found,
                      cat("no table matches \"", util::printable(pattern), "\""),
                      near ? cat("did you mean \"", util::printable(*near), "\"?") : std::string());
  }
}

bool any_match(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return util::glob_match(pattern, name); });
}
}  // namespace

std::vector<std::string> StoredTable::fields() const {
  std::vector<std::string> names;
  if (rowid_is_hidden) names.push_back(rowid);
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

std::string StoredTable::select(const std::string& condition) const {
  std::string list;
  for (const std::string& field : fields()) {
    if (!list.empty()) list += ',';
    list += sqlite::quote_identifier(field);
  }
  std::string sql = cat("SELECT ", list, " FROM main.", sqlite::quote_identifier(name));
  // The line break ends a comment inside the condition.
  if (!condition.empty()) sql += cat(" WHERE (", condition, "\n)");
  return sql;
}

bool is_internal(std::string_view name) { return util::to_lower(name).starts_with("sqlite_"); }

Schema read_schema(sqlite::Connection& connection) {
  Schema schema;
  const auto listed = list_tables(connection);
  auto statement = connection.prepare(
      "SELECT type, name, tbl_name, coalesce(sql, ''), rootpage FROM main.sqlite_schema ORDER BY "
      "rowid");
  while (statement.step()) {
    SchemaEntry entry{statement.string(0), statement.string(1), statement.string(2),
                      statement.string(3), false};
    if (entry.type == "table") {
      const auto found = listed.find(entry.name);
      const Listed kind = found == listed.end() ? Listed{"table", false} : found->second;
      entry.is_virtual = statement.integer(4) == 0;
      if (!entry.is_virtual) {
        schema.tables.push_back(read_table(connection, entry.name, kind.without_rowid));
        if (kind.kind == "shadow") schema.tables.back().owner = owner_of(entry.name, listed);
      }
    }
    schema.entries.push_back(std::move(entry));
  }
  return schema;
}

Schema choose(const Schema& schema, const Scope& scope) {
  if (scope.everything()) return schema;
  std::map<std::string, std::string> owners;
  for (const StoredTable& table : schema.tables) owners[table.name] = table.owner;
  std::vector<std::string> names;  // what patterns can name
  for (const SchemaEntry& entry : schema.entries) {
    const bool shadow = entry.type == "table" && !entry.is_virtual && !owners[entry.name].empty();
    if (entry.type == "table" && !shadow && !is_internal(entry.name)) names.push_back(entry.name);
  }
  require_matches(scope.include, names);
  require_matches(scope.exclude, names);
  for (const auto& [table, condition] : scope.where) {
    if (std::find(names.begin(), names.end(), table) != names.end()) continue;
    const auto near = util::nearest(table, names);
    throw util::Error(util::ErrorCode::not_found,
                      cat("a condition names the unknown table \"", util::printable(table), "\""),
                      near ? cat("did you mean \"", util::printable(*near), "\"?") : std::string());
  }
  std::set<std::string> chosen;
  for (const std::string& name : names) {
    if ((scope.include.empty() || any_match(scope.include, name)) &&
        !any_match(scope.exclude, name)) {
      chosen.insert(name);
    }
  }
  if (chosen.empty()) {
    throw util::Error(util::ErrorCode::usage, "the patterns leave no table to work on",
                      "an exclude pattern also takes away what an include pattern chose");
  }
  Schema part;
  for (const StoredTable& table : schema.tables) {
    if (chosen.contains(table.owner.empty() ? table.name : table.owner)) {
      part.tables.push_back(table);
    }
  }
  for (const StoredTable& table : part.tables) chosen.insert(table.name);
  for (const SchemaEntry& entry : schema.entries) {
    if (entry.type != "view" && chosen.contains(entry.table)) part.entries.push_back(entry);
  }
  return part;
}

std::string condition_of(const Scope& scope, const std::string& table) {
  for (const auto& [name, condition] : scope.where) {
    if (name == table) return condition;
  }
  return {};
}

}  // namespace dbbackup::engine::sqlite_engine
