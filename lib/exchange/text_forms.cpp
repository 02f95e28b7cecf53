#include "exchange/text_forms.hpp"

#include "engine/sql_dialect.hpp"
#include "util/bytes.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::exchange {

using Type = engine::Field::Type;

namespace {
std::string hex(const std::string& bytes) { return util::to_hex(util::as_bytes(bytes)); }

bool is_no_number(const std::string& real) {
  return real == "inf" || real == "-inf" || real == "nan";
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
    case Type::json:
      if (field.value.empty() || field.value.starts_with("\\x") ||
          field.value.find_first_of(",\"\r\n") != std::string::npos) {
        engine::append_quoted(field.value, '"', out);
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
      out += is_no_number(field.value) ? "{\"$real\":\"" + field.value + "\"}" : field.value;
      return;
    case Type::json:
      out += field.value;
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

}  // namespace dbbackup::exchange
