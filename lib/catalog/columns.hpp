// The bridge between SQL rows and the plain structs of types.hpp. A noun states its columns once (a
// Table) and its members once (a std::tie in the same order); binding, reading and the plain SQL
// follow from these two.
//
//   constexpr Table kHolds{"holds", "id,artifact,reason,until,created"};
//   auto fields(auto& hold) { return std::tie(hold.id, hold.artifact, ...); }
//
// How values are stored: times and durations as integer milliseconds, enums by name, booleans as 0
// and 1, lists as JSON.
//
// Threads: pure functions on the caller's statement.
// Errors: io, when a row holds something that no version of this program writes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "catalog/types.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::catalog {

// `columns` is a comma-separated list without blanks; its first column is the primary key.
struct Table {
  std::string_view name;
  std::string_view columns;
};

// The condition that leaves out the control database's own backups.
std::string not_control();

std::string select_sql(const Table& table);  // SELECT a,b,c FROM t
std::string insert_sql(const Table& table);  // INSERT INTO t (a,b,c) VALUES (?,?,?)
std::string update_sql(const Table& table);  // UPDATE t SET b=?2,c=?3 WHERE a=?1

// Conditions that a query combines with AND.
class Filter {
 public:
  // An empty value sets no condition.
  void equals(std::string_view column, std::string_view value);
  void add(std::string_view condition) { conditions_.emplace_back(condition); }
  // `condition` has one question mark, for `value`.
  void add(std::string_view condition, std::string_view value);
  std::string sql() const;  // " WHERE a=? AND b=?", or nothing
  // Binds from parameter 1 and returns the number of the next one.
  int bind(sqlite::Statement& statement) const;

 private:
  std::vector<std::string> conditions_;
  std::vector<std::string> values_;
};

// Lists as JSON. Text that is not UTF-8 (a warning may quote a table's name) is kept with its
// foreign bytes as \xNN, because JSON could not be read back otherwise.
std::string encode_strings(const std::vector<std::string>& strings);
std::vector<std::string> decode_strings(std::string_view json);
std::string encode_options(const Options& options);
Options decode_options(std::string_view json);
std::string encode_attempts(const std::vector<Attempt>& attempts);
std::vector<Attempt> decode_attempts(std::string_view json);

std::string_view name_of(ScheduleKind kind);
std::string_view name_of(RunKind kind);
std::string_view name_of(RunState state);
std::string_view name_of(ArtifactState state);
std::string_view name_of(util::Severity severity);

void bind_value(sqlite::Statement& statement, int index, const std::string& value);
void bind_value(sqlite::Statement& statement, int index, std::int64_t value);
void bind_value(sqlite::Statement& statement, int index, std::uint64_t value);
void bind_value(sqlite::Statement& statement, int index, bool value);
void bind_value(sqlite::Statement& statement, int index, util::TimePoint value);
void bind_value(sqlite::Statement& statement, int index, std::optional<util::TimePoint> value);
void bind_value(sqlite::Statement& statement, int index, std::optional<util::Milliseconds> value);
void bind_value(sqlite::Statement& statement, int index, const std::vector<std::string>& value);
void bind_value(sqlite::Statement& statement, int index, const Options& value);
void bind_value(sqlite::Statement& statement, int index, const std::vector<Attempt>& value);
template <typename Enum>
requires std::is_enum_v<Enum>
void bind_value(sqlite::Statement& statement, int index, Enum value) {
  statement.bind(index, name_of(value));
}

void read_value(const sqlite::Statement& statement, int index, std::string& value);
void read_value(const sqlite::Statement& statement, int index, std::int64_t& value);
void read_value(const sqlite::Statement& statement, int index, std::uint64_t& value);
void read_value(const sqlite::Statement& statement, int index, bool& value);
void read_value(const sqlite::Statement& statement, int index, util::TimePoint& value);
void read_value(const sqlite::Statement& statement, int index,
                std::optional<util::TimePoint>& value);
void read_value(const sqlite::Statement& statement, int index,
                std::optional<util::Milliseconds>& value);
void read_value(const sqlite::Statement& statement, int index, std::vector<std::string>& value);
void read_value(const sqlite::Statement& statement, int index, Options& value);
void read_value(const sqlite::Statement& statement, int index, std::vector<Attempt>& value);
void read_value(const sqlite::Statement& statement, int index, ScheduleKind& value);
void read_value(const sqlite::Statement& statement, int index, RunKind& value);
void read_value(const sqlite::Statement& statement, int index, RunState& value);
void read_value(const sqlite::Statement& statement, int index, std::optional<RunState>& value);
void read_value(const sqlite::Statement& statement, int index, ArtifactState& value);
void read_value(const sqlite::Statement& statement, int index, util::Severity& value);

template <typename... Fields>
void bind_fields(sqlite::Statement& statement, const std::tuple<Fields&...>& fields) {
  int index = 1;
  std::apply([&](const auto&... field) { (bind_value(statement, index++, field), ...); }, fields);
}

template <typename... Fields>
void read_fields(const sqlite::Statement& statement, const std::tuple<Fields&...>& fields) {
  int index = 0;
  std::apply([&](auto&... field) { (read_value(statement, index++, field), ...); }, fields);
}

// Every row that is left, through `read`, which makes one value of the current row.
template <typename Read>
auto read_rows(sqlite::Statement& statement, Read read) {
  std::vector<decltype(read(statement))> rows;
  while (statement.step()) rows.push_back(read(statement));
  return rows;
}

// The first row that is left, if any.
template <typename Read>
auto read_row(sqlite::Statement& statement, Read read) -> std::optional<decltype(read(statement))> {
  if (!statement.step()) return std::nullopt;
  return read(statement);
}

}  // namespace dbbackup::catalog
