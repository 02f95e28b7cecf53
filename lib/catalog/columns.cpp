#include "catalog/columns.hpp"

#include <cstdio>

#include "util/error.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Statement;
namespace json = util::json;

std::string not_control() { return util::cat("database <> ", sqlite::quote_text(kControlName)); }

std::string select_sql(const Table& table) {
  return util::cat("SELECT ", table.columns, " FROM ", table.name);
}

std::string insert_sql(const Table& table) {
  const std::vector<std::string> marks(util::split(table.columns, ',').size(), "?");
  return util::cat("INSERT INTO ", table.name, " (", table.columns, ") VALUES (",
                   util::join(marks, ","), ")");
}

std::string update_sql(const Table& table) {
  const std::vector<std::string> columns = util::split(table.columns, ',');
  std::vector<std::string> assignments;
  for (std::size_t i = 1; i < columns.size(); ++i) {
    assignments.push_back(util::cat(columns[i], "=?", i + 1));
  }
  return util::cat("UPDATE ", table.name, " SET ", util::join(assignments, ","), " WHERE ",
                   columns.front(), "=?1");
}

void Filter::equals(std::string_view column, std::string_view value) {
  if (!value.empty()) add(util::cat(column, "=?"), value);
}

void Filter::add(std::string_view condition, std::string_view value) {
  conditions_.emplace_back(condition);
  values_.emplace_back(value);
}

std::string Filter::sql() const {
  return conditions_.empty() ? "" : " WHERE " + util::join(conditions_, " AND ");
}

int Filter::bind(Statement& statement) const {
  int index = 1;
  for (const std::string& value : values_) statement.bind(index++, std::string_view(value));
  return index;
}

namespace {
std::string as_utf8(const std::string& text) {
  if (util::is_valid_utf8(text)) return text;
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      escaped.push_back(c);
    } else {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", byte);
      escaped += code;
    }
  }
  return escaped;
}

// What nearly every list column holds; saves the parser.
constexpr std::string_view kEmptyList = "[]";

[[noreturn]] void refuse(std::string_view what, std::string_view value) {
  throw util::Error(util::ErrorCode::io,
                    util::cat("the control database holds an unknown ", what, " \"",
                              util::printable(value), "\""),
                    "it was changed by another program; restore a copy of it");
}
}  // namespace

std::string encode_strings(const std::vector<std::string>& strings) {
  json::Array array;
  for (const std::string& text : strings) array.emplace_back(as_utf8(text));
  return json::write(array);
}

std::vector<std::string> decode_strings(std::string_view text) {
  std::vector<std::string> strings;
  if (text == kEmptyList) return strings;
  const json::Value value = json::parse(text);
  if (!value.is_array()) refuse("list", text);
  for (const json::Value& element : value.get_array()) {
    if (!element.is_string()) refuse("list", text);
    strings.emplace_back(element.get_string());
  }
  return strings;
}

// Pairs rather than an object: the order is the user's, and a key may come twice.
std::string encode_options(const Options& options) {
  json::Array array;
  for (const auto& [key, value] : options) {
    array.emplace_back(json::Array{json::Value(as_utf8(key)), json::Value(as_utf8(value))});
  }
  return json::write(array);
}

Options decode_options(std::string_view text) {
  Options options;
  if (text == kEmptyList) return options;
  const json::Value value = json::parse(text);
  if (!value.is_array()) refuse("list of options", text);
  for (const json::Value& element : value.get_array()) {
    const json::Array* pair = element.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() ||
        !(*pair)[1].is_string()) {
      refuse("list of options", text);
    }
    options.emplace_back((*pair)[0].get_string(), (*pair)[1].get_string());
  }
  return options;
}

std::string encode_attempts(const std::vector<Attempt>& attempts) {
  const auto time = [](const std::optional<util::TimePoint>& at) {
    return at ? json::Value(util::to_unix_ms(*at)) : json::Value(nullptr);
  };
  json::Array array;
  for (const Attempt& attempt : attempts) {
    array.push_back(json::Object{{"number", attempt.number},
                                 {"state", run_state_name(attempt.state)},
                                 {"started_at", time(attempt.started_at)},
                                 {"finished_at", time(attempt.finished_at)},
                                 {"code", attempt.error.code},
                                 {"message", as_utf8(attempt.error.message)},
                                 {"hint", as_utf8(attempt.error.hint)}});
  }
  return json::write(array);
}

std::vector<Attempt> decode_attempts(std::string_view text) {
  std::vector<Attempt> attempts;
  if (text == kEmptyList) return attempts;
  const json::Value value = json::parse(text);
  if (!value.is_array()) refuse("list of attempts", text);
  const auto time = [](const json::Object& object, std::string_view key) {
    const auto ms = json::get_int(object, key);
    return ms ? std::optional(util::from_unix_ms(*ms)) : std::nullopt;
  };
  for (const json::Value& element : value.get_array()) {
    const json::Object* object = element.if_object();
    const auto state = object ? run_state_from_name(json::get_string(*object, "state").value_or(""))
                              : std::nullopt;
    if (!state) refuse("list of attempts", text);
    attempts.push_back({json::get_int(*object, "number").value_or(0),
                        *state,
                        time(*object, "started_at"),
                        time(*object, "finished_at"),
                        {json::get_string(*object, "code").value_or(""),
                         json::get_string(*object, "message").value_or(""),
                         json::get_string(*object, "hint").value_or("")}});
  }
  return attempts;
}

std::string_view name_of(ScheduleKind kind) { return schedule_kind_name(kind); }
std::string_view name_of(RunKind kind) { return run_kind_name(kind); }
std::string_view name_of(RunState state) { return run_state_name(state); }
std::string_view name_of(ArtifactState state) { return artifact_state_name(state); }
std::string_view name_of(util::Severity severity) { return util::severity_name(severity); }

void bind_value(Statement& statement, int index, const std::string& value) {
  statement.bind(index, std::string_view(value));
}
void bind_value(Statement& statement, int index, std::int64_t value) {
  statement.bind(index, value);
}
void bind_value(Statement& statement, int index, std::uint64_t value) {
  statement.bind(index, static_cast<std::int64_t>(value));
}
void bind_value(Statement& statement, int index, bool value) {
  statement.bind(index, std::int64_t{value});
}
void bind_value(Statement& statement, int index, util::TimePoint value) {
  statement.bind(index, std::int64_t{util::to_unix_ms(value)});
}
void bind_value(Statement& statement, int index, std::optional<util::TimePoint> value) {
  if (value) {
    bind_value(statement, index, *value);
  } else {
    statement.bind_null(index);
  }
}
void bind_value(Statement& statement, int index, std::optional<util::Milliseconds> value) {
  if (value) {
    statement.bind(index, std::int64_t{value->count()});
  } else {
    statement.bind_null(index);
  }
}
void bind_value(Statement& statement, int index, const std::vector<std::string>& value) {
  bind_value(statement, index, encode_strings(value));
}
void bind_value(Statement& statement, int index, const Options& value) {
  bind_value(statement, index, encode_options(value));
}
void bind_value(Statement& statement, int index, const std::vector<Attempt>& value) {
  bind_value(statement, index, encode_attempts(value));
}

void read_value(const Statement& statement, int index, std::string& value) {
  value = statement.text(index);
}
void read_value(const Statement& statement, int index, std::int64_t& value) {
  value = statement.integer(index);
}
void read_value(const Statement& statement, int index, std::uint64_t& value) {
  value = static_cast<std::uint64_t>(statement.integer(index));
}
void read_value(const Statement& statement, int index, bool& value) {
  value = statement.integer(index) != 0;
}
void read_value(const Statement& statement, int index, util::TimePoint& value) {
  value = util::from_unix_ms(statement.integer(index));
}
void read_value(const Statement& statement, int index, std::optional<util::TimePoint>& value) {
  value.reset();
  if (const auto ms = statement.optional_integer(index)) value = util::from_unix_ms(*ms);
}
void read_value(const Statement& statement, int index, std::optional<util::Milliseconds>& value) {
  value.reset();
  if (const auto ms = statement.optional_integer(index)) value = util::Milliseconds(*ms);
}
void read_value(const Statement& statement, int index, std::vector<std::string>& value) {
  value = decode_strings(statement.text(index));
}
void read_value(const Statement& statement, int index, Options& value) {
  value = decode_options(statement.text(index));
}
void read_value(const Statement& statement, int index, std::vector<Attempt>& value) {
  value = decode_attempts(statement.text(index));
}

namespace {
template <typename Enum>
void read_enum(std::string_view name, std::optional<Enum> found, std::string_view what,
               Enum& value) {
  if (!found) refuse(what, name);
  value = *found;
}
}  // namespace

void read_value(const Statement& statement, int index, ScheduleKind& value) {
  const std::string_view name = statement.text(index);
  read_enum(name, schedule_kind_from_name(name), "kind of schedule", value);
}
void read_value(const Statement& statement, int index, RunKind& value) {
  const std::string_view name = statement.text(index);
  read_enum(name, run_kind_from_name(name), "kind of run", value);
}
void read_value(const Statement& statement, int index, RunState& value) {
  const std::string_view name = statement.text(index);
  read_enum(name, run_state_from_name(name), "state of a run", value);
}
void read_value(const Statement& statement, int index, std::optional<RunState>& value) {
  value.reset();
  if (!statement.is_null(index)) read_value(statement, index, value.emplace());
}
void read_value(const Statement& statement, int index, ArtifactState& value) {
  const std::string_view name = statement.text(index);
  read_enum(name, artifact_state_from_name(name), "state of an artifact", value);
}
void read_value(const Statement& statement, int index, util::Severity& value) {
  const std::string_view name = statement.text(index);
  for (const auto severity : {util::Severity::debug, util::Severity::info, util::Severity::warning,
                              util::Severity::error}) {
    if (util::severity_name(severity) == name) {
      value = severity;
      return;
    }
  }
  refuse("severity", name);
}

}  // namespace dbbackup::catalog
