#include "engine/postgresql/dialect.hpp"

#include "engine/row_text.hpp"
#include "util/bytes.hpp"

namespace dbbackup::engine::postgresql {

namespace {
// One part of a table's id: quoted already, or plain.
std::string_view take_part(std::string_view& id) {
  std::size_t end = 0;
  if (!id.empty() && id.front() == '"') {
    for (end = 1; end < id.size(); ++end) {
      if (id[end] != '"') continue;
      if (end + 1 < id.size() && id[end + 1] == '"') {
        ++end;
      } else {
        ++end;
        break;
      }
    }
  } else {
    end = std::min(id.find('.'), id.size());
  }
  const std::string_view part = id.substr(0, end);
  id.remove_prefix(std::min(end + 1, id.size()));
  return part;
}

std::string text_of(const Field& field) {
  if (field.type != Field::Type::blob) return field.value;
  return "\\x" + util::to_hex(util::as_bytes(field.value));
}
}  // namespace

void PostgresqlDialect::begin_script(std::string& out) const {
  out +=
      "SET statement_timeout = 0;\nSET lock_timeout = 0;\nSET client_encoding = 'UTF8';\n"
      "SET standard_conforming_strings = on;\nSET check_function_bodies = false;\n"
      "SET xmloption = content;\nSET row_security = off;\nSET client_min_messages = warning;\n"
      "SET DateStyle = ISO;\nSET IntervalStyle = postgres;\nSET lc_monetary = 'C';\n"
      "SELECT pg_catalog.set_config('search_path', '', false);\n";
}

void PostgresqlDialect::table_name(const TableData& table, std::string& out) const {
  std::string_view id = table.name;
  for (int part = 0; part < 2; ++part) {
    const std::string_view text = take_part(id);
    if (part > 0) out += '.';
    if (!text.empty() && text.front() == '"') {
      out += text;
    } else {
      name(text, out);
    }
  }
}

void PostgresqlDialect::value(const Field& field, std::string& out) const {
  if (field.type == Field::Type::null) {
    out += "NULL";
    return;
  }
  const std::string text = text_of(field);
  if (text.find('\\') != std::string::npos) {
    // Read the same whatever standard_conforming_strings says.
    std::string doubled;
    for (const char c : text) doubled.append(c == '\\' ? 2 : 1, c);
    out += " E";
    append_quoted(doubled, '\'', out);
    return;
  }
  append_quoted(text, '\'', out);
}

void PostgresqlDialect::begin_table(const TableData& table, std::string& out) const {
  out += "COPY ";
  table_name(table, out);
  bool first = true;
  for (const std::string& column : table.columns) {
    out += first ? " (" : ", ";
    name(column, out);
    first = false;
  }
  out += first ? " FROM stdin;\n" : ") FROM stdin;\n";
}

void PostgresqlDialect::row(const TableData&, const std::vector<Field>& fields,
                            std::string& out) const {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += '\t';
    if (fields[i].type == Field::Type::null) {
      append_row_field(std::nullopt, out);
    } else {
      append_row_field(text_of(fields[i]), out);
    }
  }
  out += '\n';
}

void PostgresqlDialect::end_table(const TableData&, std::string& out) const { out += "\\.\n\n"; }

}  // namespace dbbackup::engine::postgresql
