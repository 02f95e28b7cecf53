#include "engine/sql_dialect.hpp"

namespace dbbackup::engine {

namespace {
bool is_generated(const TableData& table, std::size_t column) {
  return column < table.generated.size() && table.generated[column];
}
}  // namespace

void append_quoted(std::string_view text, char quote, std::string& out) {
  out.push_back(quote);
  for (const char c : text) {
    if (c == quote) out.push_back(quote);
    out.push_back(c);
  }
  out.push_back(quote);
}

void SqlDialect::name(std::string_view identifier, std::string& out) const {
  append_quoted(identifier, '"', out);
}

void SqlDialect::table_name(const TableData& table, std::string& out) const {
  name(table.name, out);
}

void SqlDialect::begin_table(const TableData&, std::string&) const {}

void SqlDialect::row(const TableData& table, const std::vector<Field>& fields,
                     std::string& out) const {
  out += "INSERT INTO ";
  table_name(table, out);
  out += " (";
  bool first = true;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (is_generated(table, i)) continue;
    if (!first) out += ", ";
    name(table.columns[i], out);
    first = false;
  }
  out += ") VALUES (";
  first = true;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (is_generated(table, i)) continue;
    if (!first) out += ", ";
    value(fields[i], out);
    first = false;
  }
  out += ");\n";
}

void SqlDialect::end_table(const TableData&, std::string&) const {}

}  // namespace dbbackup::engine
