#include "engine/mysql/schema.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

std::uint64_t number_or_zero(const std::optional<std::string>& text) {
  if (!text) return 0;
  std::uint64_t value = 0;
  for (const char c : *text) {
    if (c < '0' || c > '9') break;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

bool keeps_rows_elsewhere(const std::string& engine) {
  static const std::set<std::string> elsewhere = {"FEDERATED", "MRG_MYISAM", "MRG_MyISAM",
                                                  "CONNECT",   "SPIDER",     "BLACKHOLE",
                                                  "SPHINX",    "OQGRAPH"};
  return elsewhere.contains(engine);
}

bool is_transactional(const std::string& engine) {
  return engine == "InnoDB" || engine == "ROCKSDB" || engine == "TokuDB";
}

// Columns in order, without those the server computes. The bounds of system versioning are kept:
// they are part of the history.
void read_columns(Connection& connection, const std::string& database,
                  std::map<std::string, StoredTable*>& tables) {
  const auto rows = connection.query(
      cat("SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_SET_NAME,''), "
          "COALESCE(GENERATION_EXPRESSION,''), EXTRA FROM information_schema.COLUMNS WHERE "
          "TABLE_SCHEMA=",
          quote_text(database), " ORDER BY TABLE_NAME, ORDINAL_POSITION"));
  for (const Row& row : rows) {
    const auto found = tables.find(row[0].value_or(""));
    if (found == tables.end()) continue;
    StoredTable& table = *found->second;
    const std::string expression = row[4].value_or("");
    const bool bound = expression == "ROW START" || expression == "ROW END";
    if (!expression.empty() && !(bound && table.versioned)) continue;
    table.bounds_named = table.bounds_named || bound;
    table.columns.push_back(
        {row[1].value_or(""), util::to_lower(row[2].value_or("")), row[3].value_or("")});
    if (util::to_lower(row[5].value_or("")).find("auto_increment") != std::string::npos) {
      table.auto_increment = true;
      table.auto_increment_leads_key =
          !table.key.empty() && table.key.front() == table.columns.back().name;
    }
  }
}

void read_keys(Connection& connection, const std::string& database,
               std::map<std::string, StoredTable*>& tables) {
  const auto rows = connection.query(
      cat("SELECT TABLE_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS WHERE "
          "TABLE_SCHEMA=",
          quote_text(database),
          " AND INDEX_NAME='PRIMARY' AND COLUMN_NAME IS NOT NULL ORDER BY TABLE_NAME, "
          "SEQ_IN_INDEX"));
  for (const Row& row : rows) {
    const auto found = tables.find(row[0].value_or(""));
    if (found == tables.end()) continue;
    found->second->key.push_back(row[1].value_or(""));
    if (row[2]) found->second->key_by_prefix = true;
  }
}

// Versioning without columns of its own has these two, which no catalogue lists.
void add_hidden_bounds(StoredTable& table) {
  if (!table.versioned || table.bounds_named) return;
  table.columns.push_back({"row_start", "timestamp", ""});
  table.columns.push_back({"row_end", "timestamp", ""});
}

void require_matches(const std::vector<std::string>& patterns,
                     const std::vector<std::string>& names) {
  for (const std::string& pattern : patterns) {
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return util::glob_match(pattern, name); })) {
      continue;
    }
    const auto near = util::nearest(pattern, names);
    throw Error(ErrorCode::not_found, cat("no table matches \"", util::printable(pattern), "\""),
                near ? cat("did you mean \"", util::printable(*near), "\"?") : std::string());
  }
}

bool any_match(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return util::glob_match(pattern, name); });
}
}  // namespace

Server read_server(Connection& connection) {
  Server server;
  server.version = connection.value("SELECT VERSION()").value_or("");
  server.mariadb = server.version.find("MariaDB") != std::string::npos;
  unsigned parts[3] = {0, 0, 0};
  std::size_t part = 0;
  for (const char c : server.version) {
    if (c == '.' && part < 2) {
      ++part;
    } else if (c >= '0' && c <= '9') {
      parts[part] = parts[part] * 10 + static_cast<unsigned>(c - '0');
    } else {
      break;
    }
  }
  server.number = parts[0] * 10000 + parts[1] * 100 + parts[2];
  return server;
}

Schema read_schema(Connection& connection, const std::string& database) {
  Schema schema;
  const auto rows =
      connection.query(cat("SELECT TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE,''), DATA_LENGTH, "
                           "TABLE_ROWS FROM "
                           "information_schema.TABLES WHERE TABLE_SCHEMA=",
                           quote_text(database), " ORDER BY TABLE_NAME"));
  for (const Row& row : rows) {
    const std::string& name = row[0].value();
    const std::string type = row[1].value_or("");
    if (type == "VIEW") {
      schema.views.push_back(name);
    } else if (type == "SEQUENCE") {
      schema.sequences.push_back(name);
    } else if (type == "BASE TABLE" || type == "SYSTEM VERSIONED") {
      StoredTable table;
      table.name = name;
      table.engine = row[2].value_or("");
      table.versioned = type == "SYSTEM VERSIONED";
      table.transactional = is_transactional(table.engine);
      table.has_rows = !keeps_rows_elsewhere(table.engine);
      table.data_bytes = number_or_zero(row[3]);
      table.estimated_rows = number_or_zero(row[4]);
      schema.tables.push_back(std::move(table));
    }
  }
  // The order of the catalogue depends on its collation.
  std::sort(schema.tables.begin(), schema.tables.end(),
            [](const StoredTable& a, const StoredTable& b) { return a.name < b.name; });
  std::sort(schema.views.begin(), schema.views.end());
  std::sort(schema.sequences.begin(), schema.sequences.end());
  std::map<std::string, StoredTable*> by_name;
  for (StoredTable& table : schema.tables) by_name[table.name] = &table;
  read_keys(connection, database, by_name);
  read_columns(connection, database, by_name);
  for (StoredTable& table : schema.tables) add_hidden_bounds(table);
  return schema;
}

Schema choose(const Schema& schema, const Scope& scope) {
  if (scope.everything()) return schema;
  std::vector<std::string> names = schema.sequences;
  for (const StoredTable& table : schema.tables) names.push_back(table.name);
  require_matches(scope.include, names);
  require_matches(scope.exclude, names);
  for (const auto& [table, condition] : scope.where) {
    if (std::find(names.begin(), names.end(), table) != names.end()) continue;
    const auto near = util::nearest(table, names);
    throw Error(ErrorCode::not_found,
                cat("a condition names the unknown table \"", util::printable(table), "\""),
                near ? cat("did you mean \"", util::printable(*near), "\"?") : std::string());
  }
  const auto chosen = [&](const std::string& name) {
    return (scope.include.empty() || any_match(scope.include, name)) &&
           !any_match(scope.exclude, name);
  };
  Schema part;
  for (const StoredTable& table : schema.tables) {
    if (chosen(table.name)) part.tables.push_back(table);
  }
  for (const std::string& name : schema.sequences) {
    if (chosen(name)) part.sequences.push_back(name);
  }
  if (part.tables.empty() && part.sequences.empty()) {
    throw Error(ErrorCode::usage, "the patterns leave no table to work on",
                "an exclude pattern also takes away what an include pattern chose");
  }
  return part;
}

std::string condition_of(const Scope& scope, const std::string& table) {
  for (const auto& [name, condition] : scope.where) {
    if (name == table) return condition;
  }
  return {};
}

bool is_integer_type(std::string_view type) {
  return type == "tinyint" || type == "smallint" || type == "mediumint" || type == "int" ||
         type == "bigint";
}

bool needs_text(std::string_view type) {
  return type == "inet4" || type == "inet6" || type == "uuid" || type == "json" ||
         type == "xmltype";
}

}  // namespace dbbackup::engine::mysql
