#include "engine/sqlite/proof.hpp"

#include "engine/sqlite/row_line.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;

// Enough ranges to keep uneven ones from leaving a worker idle, few enough for their start to cost
// nothing.
constexpr std::uint64_t kRangesPerTable = 32;
constexpr std::uint64_t kSmallestSplit = 20000;

struct Range {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

// Empty for a table that is not worth splitting or has no rowid.
std::vector<Range> ranges_of(sqlite::Connection& connection, const StoredTable& table) {
  if (table.rowid.empty()) return {};
  const std::string rowid = sqlite::quote_identifier(table.rowid);
  const std::string from = cat(" FROM main.", sqlite::quote_identifier(table.name));
  // One aggregate per query is a seek; both in one query would be a scan.
  auto bounds = connection.prepare(
      cat("SELECT (SELECT min(", rowid, ")", from, "), (SELECT max(", rowid, ")", from, ")"));
  if (!bounds.step() || bounds.is_null(0)) return {};
  const std::int64_t first = bounds.integer(0);
  const std::int64_t last = bounds.integer(1);
  const std::uint64_t span = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  if (span < kSmallestSplit) return {};
  const std::uint64_t step = span / kRangesPerTable + 1;
  std::vector<Range> ranges;
  for (std::uint64_t offset = 0; offset <= span;) {
    const std::uint64_t length = std::min(step - 1, span - offset);
    const std::uint64_t start = static_cast<std::uint64_t>(first) + offset;
    ranges.push_back({static_cast<std::int64_t>(start), static_cast<std::int64_t>(start + length)});
    if (span - offset <= length) break;
    offset += length + 1;
  }
  return ranges;
}

std::string joined_conditions(const std::string& left, const std::string& right) {
  if (left.empty()) return right;
  return cat("(", left, "\n) AND ", right);
}
}  // namespace

std::string schema_select() {
  return "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid";
}

Proof::Proof(const Schema& schema, const Scope& scope, util::Task& task)
    : schema_(schema), scope_(scope), task_(task) {
  for (const StoredTable& table : schema.tables) proofs_.push_back({table.name, {}});
  if (scope.everything()) proofs_.push_back({kSchemaProof, {}});
}

std::vector<Unit> Proof::units(sqlite::Connection& connection) {
  std::vector<Unit> units;
  for (std::size_t i = 0; i < schema_.tables.size(); ++i) {
    const StoredTable& table = schema_.tables[i];
    const std::string condition = condition_of(scope_, table.name);
    const auto add = [&](const std::string& where) {
      units.push_back(
          [this, i, sql = table.select(where)](sqlite::Connection& worker, const std::stop_token&) {
            hash_rows(worker, i, sql);
          });
    };
    const std::vector<Range> ranges = ranges_of(connection, table);
    if (ranges.empty()) add(condition);
    for (const Range& range : ranges) {
      add(joined_conditions(condition, cat(sqlite::quote_identifier(table.rowid), " BETWEEN ",
                                           range.first, " AND ", range.last)));
    }
  }
  if (scope_.everything()) {
    units.push_back([this](sqlite::Connection& worker, const std::stop_token&) {
      hash_rows(worker, proofs_.size() - 1, schema_select());
    });
  }
  return units;
}

void Proof::hash_rows(sqlite::Connection& connection, std::size_t table, const std::string& sql) {
  repository::RowHash hash;
  std::string line;
  auto statement = connection.prepare(sql);
  const int columns = statement.column_count();
  while (statement.step()) {
    encode_row(statement, columns, line);
    hash.add(util::as_bytes(line));
  }
  if (proofs_[table].name != kSchemaProof) task_.progress().rows += hash.rows();
  const std::scoped_lock lock(mutex_);
  proofs_[table].hash.add(hash);
}

std::vector<repository::TableProof> Proof::result() const { return proofs_; }

std::vector<repository::TableProof> prove(Sessions& sessions, const Schema& schema,
                                          const Scope& scope, util::Task& task) {
  Proof proof(schema, scope, task);
  run_units(sessions, proof.units(sessions.front()), task);
  return proof.result();
}

}  // namespace dbbackup::engine::sqlite_engine
