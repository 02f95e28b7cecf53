#include "engine/sqlite/dialect.hpp"

#include "util/bytes.hpp"

namespace dbbackup::engine::sqlite_engine {

void SqliteDialect::begin_script(std::string& out) const {
  out += "PRAGMA foreign_keys=OFF;\nBEGIN;\n";
}

void SqliteDialect::end_script(std::string& out) const { out += "COMMIT;\n"; }

void SqliteDialect::value(const Field& field, std::string& out) const {
  switch (field.type) {
    case Field::Type::null:
      out += "NULL";
      return;
    case Field::Type::integer:
      // The smallest integer has no literal of its own: its digits without the sign would overflow.
      out += field.value == "-9223372036854775808" ? "(-9223372036854775807-1)" : field.value;
      return;
    case Field::Type::real:
      out += field.value == "inf" ? "9e999" : field.value == "-inf" ? "-9e999" : field.value;
      return;
    case Field::Type::text:
    case Field::Type::json:
      if (field.value.find('\0') != std::string::npos) {
        // A script cannot carry NUL.
        out += "CAST(X'" + util::to_hex(util::as_bytes(field.value)) + "' AS TEXT)";
      } else {
        append_quoted(field.value, '\'', out);
      }
      return;
    case Field::Type::blob:
      out += "X'" + util::to_hex(util::as_bytes(field.value)) + "'";
      return;
  }
}

}  // namespace dbbackup::engine::sqlite_engine
