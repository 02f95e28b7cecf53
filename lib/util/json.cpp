#include "util/json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::util::json {

Value parse(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = 32;
  boost::json::stream_parser parser({}, options);
  boost::json::error_code error;
  const std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (error)
    throw Error(ErrorCode::usage, cat("not valid JSON near byte ", read, ": ", error.message()));
  if (!trim(text.substr(read)).empty()) {
    throw Error(ErrorCode::usage, cat("not valid JSON near byte ", read, ": text after the value"));
  }
  return parser.release();
}

std::string write(const Value& value) { return boost::json::serialize(value); }

namespace {
void write_indented(const Value& value, std::size_t depth, std::string& out) {
  const std::string pad(depth * 2 + 2, ' ');
  const std::string end(depth * 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& [key, member] : value.get_object()) {
      if (!first) out += ",\n";
      first = false;
      out += pad + boost::json::serialize(boost::json::value(key)) + ": ";
      write_indented(member, depth + 1, out);
    }
    out += "\n" + end + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    bool first = true;
    for (const Value& member : value.get_array()) {
      if (!first) out += ",\n";
      first = false;
      out += pad;
      write_indented(member, depth + 1, out);
    }
    out += "\n" + end + "]";
  } else {
    out += boost::json::serialize(value);
  }
}
}  // namespace

std::string write_pretty(const Value& value) {
  std::string out;
  write_indented(value, 0, out);
  return out;
}

const Value* find(const Object& object, std::string_view key) {
  const auto it = object.find(key);
  return it == object.end() || it->value().is_null() ? nullptr : &it->value();
}

std::optional<std::string> get_string(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> get_int(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64() && value->get_uint64() <= INT64_MAX) {
    return static_cast<std::int64_t>(value->get_uint64());
  }
  return std::nullopt;
}

std::optional<double> get_number(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::optional<bool> get_bool(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

std::vector<std::string> get_strings(const Object& object, std::string_view key) {
  std::vector<std::string> strings;
  if (const Array* array = get_array(object, key)) {
    for (const Value& value : *array) {
      if (value.is_string()) strings.emplace_back(value.get_string());
    }
  }
  return strings;
}

const Object* get_object(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  return value != nullptr ? value->if_object() : nullptr;
}

const Array* get_array(const Object& object, std::string_view key) {
  const Value* value = find(object, key);
  return value != nullptr ? value->if_array() : nullptr;
}

Array from_strings(const std::vector<std::string>& strings) {
  Array array;
  for (const std::string& text : strings) array.emplace_back(text);
  return array;
}

Value from_optional(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value(nullptr);
}

}  // namespace dbbackup::util::json
