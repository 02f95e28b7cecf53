#include "engine/mongodb/bson.hpp"

#include <bson/bson.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

[[noreturn]] void malformed(std::string_view what) {
  throw Error(ErrorCode::source_damaged, cat("a BSON document is malformed: ", what),
              "run validate on the collection");
}

std::size_t checked(ByteView bytes, std::uint64_t size) {
  if (size > bytes.size()) malformed("an element is longer than the document");
  return static_cast<std::size_t>(size);
}

std::size_t c_string_size(ByteView bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
  if (end == bytes.end()) malformed("a name has no end");
  return static_cast<std::size_t>(end - bytes.begin()) + 1;
}

std::uint64_t prefix(ByteView bytes) {
  if (bytes.size() < 4) malformed("a length is cut off");
  return util::read_u32(bytes);
}

std::size_t value_size(BsonType type, ByteView bytes) {
  switch (type) {
    case BsonType::undefined:
    case BsonType::null:
    case BsonType::max_key:
    case BsonType::min_key:
      return 0;
    case BsonType::boolean:
      return checked(bytes, 1);
    case BsonType::int32:
      return checked(bytes, 4);
    case BsonType::real:
    case BsonType::date:
    case BsonType::timestamp:
    case BsonType::int64:
      return checked(bytes, 8);
    case BsonType::object_id:
      return checked(bytes, 12);
    case BsonType::decimal:
      return checked(bytes, 16);
    case BsonType::text:
    case BsonType::code:
    case BsonType::symbol:
      return checked(bytes, 4 + prefix(bytes));
    case BsonType::pointer:
      return checked(bytes, 4 + prefix(bytes) + 12);
    case BsonType::binary:
      return checked(bytes, 5 + prefix(bytes));
    case BsonType::document:
    case BsonType::array:
    case BsonType::code_with_scope: {
      const std::uint64_t size = prefix(bytes);
      if (size < 5) malformed("an embedded document is shorter than an empty one");
      return checked(bytes, size);
    }
    case BsonType::regex: {
      const std::size_t pattern = c_string_size(bytes);
      return pattern + c_string_size(bytes.subspan(pattern));
    }
  }
  malformed(cat("element type ", static_cast<unsigned>(type), " is unknown"));
}

double real_of(ByteView value) {
  const std::uint64_t bits = util::read_u64(value);
  double real = 0;
  std::memcpy(&real, &bits, sizeof real);
  return real;
}

struct Free {
  void operator()(char* text) const { bson_free(text); }
};
}  // namespace

std::string Timestamp::text() const { return cat(seconds, ",", increment); }

std::optional<std::int64_t> Element::integer() const {
  switch (type) {
    case BsonType::int32:
      return static_cast<std::int32_t>(util::read_u32(value));
    case BsonType::int64:
    case BsonType::date:
      return static_cast<std::int64_t>(util::read_u64(value));
    case BsonType::real: {
      const double real = real_of(value);
      if (std::abs(real) < 9e15 && std::floor(real) == real) return static_cast<std::int64_t>(real);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::optional<std::string_view> Element::text() const {
  if (type != BsonType::text || value.size() < 5) return std::nullopt;
  return util::as_text(value.subspan(4, value.size() - 5));
}

std::optional<ByteView> Element::document() const {
  if (type != BsonType::document && type != BsonType::array) return std::nullopt;
  return value;
}

std::optional<Timestamp> Element::timestamp() const {
  if (type != BsonType::timestamp) return std::nullopt;
  return Timestamp{util::read_u32(value.subspan(4)), util::read_u32(value)};
}

bool Element::truth() const {
  if (type == BsonType::boolean) return value.front() != 0;
  if (type == BsonType::real) return real_of(value) != 0;
  return integer().value_or(0) != 0;
}

std::size_t document_size(ByteView bytes) {
  const std::uint64_t size = prefix(bytes);
  if (size < 5) malformed("it is shorter than an empty one");
  return checked(bytes, size);
}

Walker::Walker(ByteView document) {
  const std::size_t size = document_size(document);
  if (document[size - 1] != 0) malformed("its end is missing");
  rest_ = document.subspan(4, size - 5);
}

std::optional<Element> Walker::next() {
  if (rest_.empty()) return std::nullopt;
  Element element;
  element.type = static_cast<BsonType>(rest_.front());
  rest_ = rest_.subspan(1);
  const std::size_t name = c_string_size(rest_);
  element.name = util::as_text(rest_.first(name - 1));
  rest_ = rest_.subspan(name);
  const std::size_t size = value_size(element.type, rest_);
  element.value = rest_.first(size);
  rest_ = rest_.subspan(size);
  return element;
}

std::optional<Element> find(ByteView document, std::string_view name) {
  Walker walker(document);
  while (const auto element = walker.next()) {
    if (element->name == name) return element;
  }
  return std::nullopt;
}

std::optional<Element> find_path(ByteView document, std::initializer_list<std::string_view> path) {
  std::optional<Element> element;
  for (const std::string_view name : path) {
    if (element) {
      const auto inner = element->document();
      if (!inner) return std::nullopt;
      document = *inner;
    }
    element = find(document, name);
    if (!element) return std::nullopt;
  }
  return element;
}

std::optional<std::int64_t> find_integer(ByteView document, std::string_view name) {
  const auto element = find(document, name);
  return element ? element->integer() : std::nullopt;
}

std::string find_text(ByteView document, std::string_view name) {
  const auto element = find(document, name);
  return element ? std::string(element->text().value_or("")) : std::string();
}

bool find_truth(ByteView document, std::string_view name) {
  const auto element = find(document, name);
  return element && element->truth();
}

Document::Document() : bytes_{5, 0, 0, 0, 0} {}

Document::Document(ByteView whole) : bytes_(whole.begin(), whole.end()) {}

Document& Document::append(BsonType type, std::string_view name, ByteView value) {
  bytes_.back() = static_cast<std::uint8_t>(type);
  const ByteView name_bytes = util::as_bytes(name);
  bytes_.insert(bytes_.end(), name_bytes.begin(), name_bytes.end());
  bytes_.push_back(0);
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  bytes_.push_back(0);
  const auto size = static_cast<std::uint32_t>(bytes_.size());
  for (unsigned i = 0; i < 4; ++i) bytes_[i] = static_cast<std::uint8_t>(size >> (8 * i));
  return *this;
}

Document& Document::text(std::string_view name, std::string_view value) {
  Bytes bytes;
  util::append_u32(bytes, static_cast<std::uint32_t>(value.size() + 1));
  bytes.insert(bytes.end(), value.begin(), value.end());
  bytes.push_back(0);
  return append(BsonType::text, name, bytes);
}

Document& Document::int32(std::string_view name, std::int32_t value) {
  Bytes bytes;
  util::append_u32(bytes, static_cast<std::uint32_t>(value));
  return append(BsonType::int32, name, bytes);
}

Document& Document::int64(std::string_view name, std::int64_t value) {
  Bytes bytes;
  util::append_u64(bytes, static_cast<std::uint64_t>(value));
  return append(BsonType::int64, name, bytes);
}

Document& Document::boolean(std::string_view name, bool value) {
  return append(BsonType::boolean, name, Bytes{static_cast<std::uint8_t>(value ? 1 : 0)});
}

Document& Document::timestamp(std::string_view name, Timestamp value) {
  Bytes bytes;
  util::append_u32(bytes, value.increment);
  util::append_u32(bytes, value.seconds);
  return append(BsonType::timestamp, name, bytes);
}

Document& Document::document(std::string_view name, ByteView value) {
  return append(BsonType::document, name, value);
}

Document& Document::array(std::string_view name, const std::vector<Document>& values) {
  Document list;
  for (std::size_t i = 0; i < values.size(); ++i) list.document(std::to_string(i), values[i]);
  return append(BsonType::array, name, list.view());
}

Document& Document::texts(std::string_view name, const std::vector<std::string>& values) {
  Document list;
  for (std::size_t i = 0; i < values.size(); ++i) list.text(std::to_string(i), values[i]);
  return append(BsonType::array, name, list.view());
}

Document& Document::element_as(std::string_view name, const Element& element) {
  return append(element.type, name, element.value);
}

Document& Document::all_but(ByteView other, std::initializer_list<std::string_view> names) {
  Walker walker(other);
  while (const auto member = walker.next()) {
    if (std::find(names.begin(), names.end(), member->name) == names.end()) element(*member);
  }
  return *this;
}

std::string canonical_json(ByteView document) {
  bson_t view;
  if (bson_init_static(&view, document.data(), document.size())) {
    const std::unique_ptr<char, Free> json(bson_as_canonical_extended_json(&view, nullptr));
    if (json && util::is_valid_utf8(json.get())) return json.get();
  }
  return cat("{ \"$bson\" : \"", util::to_hex(document), "\" }");
}

Document parse_json(std::string_view json, std::string_view what) {
  bson_error_t error;
  bson_t parsed;
  if (!bson_init_from_json(&parsed, json.data(), static_cast<ssize_t>(json.size()), &error)) {
    throw Error(ErrorCode::usage,
                cat(what, " is not a JSON document: ",
                    util::printable(static_cast<const char*>(error.message))),
                "for example {\"status\": \"open\", \"total\": {\"$gt\": 100}}");
  }
  Document document(ByteView(bson_get_data(&parsed), parsed.len));
  bson_destroy(&parsed);
  return document;
}

}  // namespace dbbackup::engine::mongodb
