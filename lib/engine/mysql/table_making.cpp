#include "engine/mysql/table_making.hpp"

#include <string_view>
#include <vector>

#include "engine/mysql/connection.hpp"
#include "engine/mysql/definition.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;

bool begins_with_key(std::string_view item) {
  for (const std::string_view word :
       {"KEY ", "UNIQUE KEY ", "FULLTEXT KEY ", "SPATIAL KEY ", "INDEX ", "UNIQUE INDEX "}) {
    if (item.starts_with(word)) return true;
  }
  return false;
}

bool is_foreign_key(std::string_view item) {
  if (!item.starts_with("CONSTRAINT `")) return item.starts_with("FOREIGN KEY ");
  const std::size_t end = skip_quoted(item, std::string_view("CONSTRAINT ").size());
  return item.substr(end).starts_with(" FOREIGN KEY ");
}

std::string alter(const std::string& name, const std::vector<std::string_view>& items) {
  if (items.empty()) return {};
  std::string sql = cat("ALTER TABLE ", quote_name(name));
  bool first = true;
  for (const std::string_view item : items) {
    sql += cat(first ? " ADD " : ", ADD ", item);
    first = false;
  }
  return sql;
}

// The items between "(\n" and "\n)", without their indentation and commas; `start` and `end`
// enclose them.
std::vector<std::string_view> items_of(std::string_view sql, std::size_t& start, std::size_t& end) {
  std::vector<std::string_view> items;
  start = sql.find("(\n");
  if (start == std::string_view::npos) return items;
  start += 2;
  std::size_t item = start;
  for (std::size_t i = start; i < sql.size();) {
    if (sql[i] == '`' || sql[i] == '\'' || sql[i] == '"') {
      i = skip_quoted(sql, i);
      continue;
    }
    if (sql[i] == '\n') {
      std::string_view text = util::trim(sql.substr(item, i - item));
      if (text.ends_with(',')) text.remove_suffix(1);
      items.push_back(text);
      item = i + 1;
      if (item < sql.size() && sql[item] == ')') {
        end = i;
        return items;
      }
    }
    ++i;
  }
  return {};
}
}  // namespace

TableMaking split_table(const std::string& sql, const std::string& name) {
  std::size_t start = 0;
  std::size_t end = 0;
  std::string kept;
  std::vector<std::string_view> keys;
  std::vector<std::string_view> foreign;
  for (const std::string_view item : items_of(sql, start, end)) {
    if (begins_with_key(item)) {
      keys.push_back(item);
    } else if (is_foreign_key(item)) {
      foreign.push_back(item);
    } else {
      if (!kept.empty()) kept += ",\n";
      kept += cat("  ", item);
    }
  }
  if (keys.empty() && foreign.empty()) return {sql, {}, {}};
  return {sql.substr(0, start) + kept + sql.substr(end), alter(name, keys), alter(name, foreign)};
}

}  // namespace dbbackup::engine::mysql
