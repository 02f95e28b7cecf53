#include "exchange/text_forms.hpp"

#include "util/bytes.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::exchange {

using Type = engine::Field::Type;

namespace {
std::string hex(const std::string& bytes) { return util::to_hex(util::as_bytes(bytes)); }

bool is_infinite(const std::string& real) { return real == "inf" || real == "-inf"; }

void append_quoted(const std::string& text, char quote, std::string& out) {
  out.push_back(quote);
  for (const char c : text) {
    if (c == quote) out.push_back(quote);
    out.push_back(c);
  }
  out.push_back(quote);
}
}  // namespace

void append_csv(const engine::Field& field, std::string& out) {
  switch (field.type) {
    case Type::null:
      return;
    case Type::integer:
    case Type::real:
      out += field.value;
      return;
    case Type::blob:
      out += "\\x" + hex(field.value);
      return;
    case Type::text:
      if (field.value.empty() || field.value.starts_with("\\x") ||
          field.value.find_first_of(",\"\r\n") != std::string::npos) {
        append_quoted(field.value, '"', out);
      } else {
        out += field.value;
      }
      return;
  }
}

void append_json(const engine::Field& field, std::string& out) {
  switch (field.type) {
    case Type::null:
      out += "null";
      return;
    case Type::integer:
      out += field.value;
      return;
    case Type::real:
      out += is_infinite(field.value) ? "{\"$real\":\"" + field.value + "\"}" : field.value;
      return;
    case Type::text:
      if (util::is_valid_utf8(field.value)) {
        out += util::json::write(util::json::Value(field.value));
        return;
      }
      [[fallthrough]];
    case Type::blob:
      out += "{\"$hex\":\"" + hex(field.value) + "\"}";
      return;
  }
}

void append_sql(const engine::Field& field, std::string& out) {
  switch (field.type) {
    case Type::null:
      out += "NULL";
      return;
    case Type::integer:
      // The smallest integer has no literal of its own: its digits without the sign would overflow.
      out += field.value == "-9223372036854775808" ? "(-9223372036854775807-1)" : field.value;
      return;
    case Type::real:
      out += field.value == "inf" ? "9e999" : field.value == "-inf" ? "-9e999" : field.value;
      return;
    case Type::text:
      if (field.value.find('\0') != std::string::npos) {
        out += "CAST(X'" + hex(field.value) + "' AS TEXT)";  // a script cannot carry NUL
      } else {
        append_quoted(field.value, '\'', out);
      }
      return;
    case Type::blob:
      out += "X'" + hex(field.value) + "'";
      return;
  }
}

}  // namespace dbbackup::exchange
