#include "engine/mysql/table_reader.hpp"

#include <algorithm>

#include "engine/mysql/row_reader.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;

// Small enough to keep every worker busy to the end, large enough for the start of a statement to
// cost nothing.
constexpr std::uint64_t kPartBytes = std::uint64_t{32} << 20U;

std::string select(const StoredTable& table, const std::string& condition) {
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (i > 0) sql += ',';
    sql += quote_name(table.columns[i].name);
  }
  sql += cat(" FROM ", quote_name(table.name));
  if (table.versioned) sql += " FOR SYSTEM_TIME ALL";
  const bool clustered = table.transactional && !table.key.empty();
  if (clustered) sql += " FORCE INDEX (PRIMARY)";
  // The line break ends a comment inside the condition.
  if (!condition.empty()) sql += cat(" WHERE ", condition);
  if (clustered && !table.key_by_prefix) {
    sql += " ORDER BY ";
    for (std::size_t i = 0; i < table.key.size(); ++i) {
      if (i > 0) sql += ',';
      sql += quote_name(table.key[i]);
    }
  }
  return sql;
}

std::string both(const std::string& condition, const std::string& range) {
  std::string sql;
  if (!condition.empty()) sql = cat("(", condition, "\n)");
  if (!condition.empty() && !range.empty()) sql += " AND ";
  return sql + range;
}

bool may_split(const StoredTable& table) {
  if (!table.transactional || table.versioned || table.key.empty()) return false;
  if (table.data_bytes < 2 * kPartBytes) return false;
  return std::any_of(table.columns.begin(), table.columns.end(), [&](const StoredColumn& column) {
    return column.name == table.key.front() && is_integer_type(column.type);
  });
}

std::vector<KeyRange> ranges_of(Connection& connection, const Server& server,
                                const StoredTable& table) {
  const std::string key = quote_name(table.key.front());
  const std::string from = cat(" FROM ", quote_name(table.name), " FORCE INDEX (PRIMARY)");
  // Two queries: one aggregate is a look at one end of the index.
  const auto low = connection.value(cat("SELECT MIN(", key, ")", from));
  const auto high = connection.value(cat("SELECT MAX(", key, ")", from));
  const auto lowest = low ? parse_key(*low) : std::nullopt;
  const auto highest = high ? parse_key(*high) : std::nullopt;
  if (!lowest || !highest) return {};
  const std::uint64_t row_bytes =
      table.data_bytes / std::max<std::uint64_t>(1, table.estimated_rows) + 1;
  // MySQL shows one column more (partitions).
  const std::size_t rows_column = server.mariadb ? 8 : 9;
  return plan_ranges(*lowest, *highest, kPartBytes, [&](const KeyRange& range) -> std::uint64_t {
    const auto plan =
        connection.query(cat("EXPLAIN SELECT 1", from, " WHERE ", range.condition(key)));
    if (plan.empty() || plan[0].size() <= rows_column || !plan[0][rows_column]) return 0;
    const auto rows = util::parse_int(*plan[0][rows_column]);
    return rows ? static_cast<std::uint64_t>(*rows) * row_bytes : 0;
  });
}

std::string escaped(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == '#') {
      text += "%23";
    } else if (c == '%') {
      text += "%25";
    } else {
      text += c;
    }
  }
  return text;
}

repository::RowHash hash_rows(Connection& connection, const std::string& sql, util::Task& task) {
  repository::RowHash hash;
  read_rows(
      connection, sql,
      [&](std::string_view line) {
        line.remove_suffix(1);
        hash.add(util::as_bytes(line));
      },
      task);
  return hash;
}
}  // namespace

std::vector<TablePart> plan_parts(Connection& connection, const Server& server,
                                  const Schema& schema, const Scope& scope, util::Task& task) {
  std::vector<TablePart> parts;
  for (std::size_t i = 0; i < schema.tables.size(); ++i) {
    const StoredTable& table = schema.tables[i];
    if (!table.has_rows || table.columns.empty()) continue;
    task.check();
    const std::string condition = condition_of(scope, table.name);
    std::vector<KeyRange> ranges;
    if (may_split(table)) ranges = ranges_of(connection, server, table);
    if (ranges.size() < 2) {
      parts.push_back({i, std::nullopt, select(table, both(condition, "")), table.data_bytes});
      continue;
    }
    for (const KeyRange& range : ranges) {
      const std::string bounds = range.condition(quote_name(table.key.front()));
      parts.push_back(
          {i, range, select(table, both(condition, bounds)), table.data_bytes / ranges.size()});
    }
  }
  std::stable_sort(parts.begin(), parts.end(), [&](const TablePart& a, const TablePart& b) {
    const bool later_a = schema.tables[a.table].transactional;
    const bool later_b = schema.tables[b.table].transactional;
    return later_a != later_b ? later_b : a.bytes > b.bytes;
  });
  return parts;
}

std::string data_stream(const std::string& database, const std::string& table) {
  return cat("data/", escaped(database), ".", escaped(table));
}

std::string part_stream(const std::string& database, const StoredTable& table,
                        const TablePart& part) {
  const std::string name = data_stream(database, table.name);
  return part.range ? cat(name, "#", part.range->name()) : name;
}

std::vector<repository::TableProof> prove(Run& run, Snapshot& snapshot, const Scope& scope,
                                          util::Task& task) {
  Connection& first = *snapshot.readers.front();
  const Schema& schema = snapshot.schema;
  std::vector<repository::TableProof> proofs;
  for (const StoredTable& table : schema.tables) proofs.push_back({table.name, {}});
  std::mutex mutex;
  std::vector<Unit> units;
  for (TablePart& part : plan_parts(first, snapshot.server, schema, scope, task)) {
    units.push_back([&, part = std::move(part)](Connection& connection) {
      const repository::RowHash hash = hash_rows(connection, part.sql, task);
      const std::scoped_lock lock(mutex);
      proofs[part.table].hash.add(hash);
    });
  }
  if (!units.empty()) run_units(run, snapshot.readers, units, task);
  return proofs;
}

}  // namespace dbbackup::engine::mysql
