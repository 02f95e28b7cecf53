#include "engine/mysql/dialect.hpp"

#include "engine/mysql/connection.hpp"
#include "util/bytes.hpp"

namespace dbbackup::engine::mysql {

void MySqlDialect::begin_script(std::string& out) const {
  out +=
      "SET NAMES utf8mb4;\n"
      "SET SESSION time_zone='+00:00', SESSION foreign_key_checks=0, SESSION unique_checks=0;\n"
      "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,STRICT_ALL_TABLES';\n"
      "/*M!101100 SET SESSION system_versioning_insert_history=1 */;\n"
      "SET autocommit=0;\n";
}

void MySqlDialect::end_script(std::string& out) const { out += "COMMIT;\n"; }

void MySqlDialect::name(std::string_view identifier, std::string& out) const {
  append_quoted(identifier, '`', out);
}

void MySqlDialect::table_name(const TableData& table, std::string& out) const {
  name(table.name, out);
}

void MySqlDialect::value(const Field& field, std::string& out) const {
  switch (field.type) {
    case Field::Type::null:
      out += "NULL";
      return;
    case Field::Type::integer:
      out += field.value;
      return;
    case Field::Type::real:
      out += field.value;
      // Without an exponent it would be a decimal, and those have no negative zero.
      if (field.value.find('e') == std::string::npos) out += "e0";
      return;
    case Field::Type::text:
    case Field::Type::json:
      out += quote_text(field.value);
      return;
    case Field::Type::blob:
      out += field.value.empty() ? "''" : "0x" + util::to_hex(util::as_bytes(field.value));
      return;
  }
}

}  // namespace dbbackup::engine::mysql
