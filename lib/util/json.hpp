// The one JSON value type of the product (Boost.JSON behind a namespace of ours).
//
// design.md gives Boost.JSON to `control`; it lives here because manifests, catalog columns and the
// wire all need the same value type and `control` may not be used by them. Nobody else includes
// <boost/json...>; the layout test checks it.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::util::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

// Errors: usage, with the position, for text that is not one JSON value or is nested deeper
// than 32.
Value parse(std::string_view text);
// One line, no blanks; objects keep the order in which they were filled.
std::string write(const Value& value);
// Indented by two, for people.
std::string write_pretty(const Value& value);

// Typed look-ups that never throw: empty when the key is missing, null or of another type.
const Value* find(const Object& object, std::string_view key);
std::optional<std::string> get_string(const Object& object, std::string_view key);
std::optional<std::int64_t> get_int(const Object& object, std::string_view key);
std::optional<double> get_number(const Object& object, std::string_view key);
std::optional<bool> get_bool(const Object& object, std::string_view key);
std::vector<std::string> get_strings(const Object& object, std::string_view key);
const Object* get_object(const Object& object, std::string_view key);
const Array* get_array(const Object& object, std::string_view key);

Array from_strings(const std::vector<std::string>& strings);
// null for an empty optional
Value from_optional(const std::optional<std::string>& text);

}  // namespace dbbackup::util::json
