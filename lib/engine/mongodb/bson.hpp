// BSON documents as the bytes they are: walked without being decoded, and built for commands.
//
// Documents of users pass through this program untouched, also those that no decoder accepts (a
// name twice, text that is not UTF-8), so nothing here ever writes a document again that it has
// read.
//
// Threads: values and pure functions. Errors: source_damaged for bytes that are no BSON.
// Source: bsonspec.org, version 1.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/bytes.hpp"

namespace dbbackup::engine::mongodb {

enum class BsonType : std::uint8_t {
  real = 0x01,
  text = 0x02,
  document = 0x03,
  array = 0x04,
  binary = 0x05,
  undefined = 0x06,
  object_id = 0x07,
  boolean = 0x08,
  date = 0x09,
  null = 0x0a,
  regex = 0x0b,
  pointer = 0x0c,
  code = 0x0d,
  symbol = 0x0e,
  code_with_scope = 0x0f,
  int32 = 0x10,
  timestamp = 0x11,
  int64 = 0x12,
  decimal = 0x13,
  max_key = 0x7f,
  min_key = 0xff,
};

// The server's logical time: seconds and a counter within the second, compared in that order.
struct Timestamp {
  std::uint32_t seconds = 0;
  std::uint32_t increment = 0;
  auto operator<=>(const Timestamp&) const = default;
  std::string text() const;  // "1700000000,3"
};

// One element of a document; a view into the document's bytes.
struct Element {
  BsonType type = BsonType::null;
  std::string_view name;
  util::ByteView value;  // as stored, without type and name

  // Typed looks; empty (or false) for an element of another type.
  std::optional<std::int64_t> integer() const;  // also a double that is a whole number
  std::optional<std::string_view> text() const;
  std::optional<util::ByteView> document() const;  // also an array
  std::optional<Timestamp> timestamp() const;
  bool truth() const;  // true, or a number other than zero
};

// Walks a document's elements in their order.
class Walker {
 public:
  explicit Walker(util::ByteView document);
  std::optional<Element> next();

 private:
  util::ByteView rest_;
};

// The first element of that name.
std::optional<Element> find(util::ByteView document, std::string_view name);
// find(), through embedded documents: "cursor.id" as {"cursor", "id"}.
std::optional<Element> find_path(util::ByteView document,
                                 std::initializer_list<std::string_view> path);
// What integer(), text() and truth() say of the element of that name.
std::optional<std::int64_t> find_integer(util::ByteView document, std::string_view name);
std::string find_text(util::ByteView document, std::string_view name);
bool find_truth(util::ByteView document, std::string_view name);

// A document under construction, complete at any moment.
class Document {
 public:
  Document();
  explicit Document(util::ByteView whole);  // a copy

  Document& text(std::string_view name, std::string_view value);
  Document& int32(std::string_view name, std::int32_t value);
  Document& int64(std::string_view name, std::int64_t value);
  Document& boolean(std::string_view name, bool value);
  Document& timestamp(std::string_view name, Timestamp value);
  Document& document(std::string_view name, util::ByteView value);
  Document& document(std::string_view name, const Document& value) {
    return document(name, value.view());
  }
  Document& array(std::string_view name, const std::vector<Document>& values);
  Document& texts(std::string_view name, const std::vector<std::string>& values);
  Document& element(const Element& element) { return element_as(element.name, element); }
  Document& element_as(std::string_view name, const Element& element);
  // All elements of another document but those named.
  Document& all_but(util::ByteView other, std::initializer_list<std::string_view> names);

  util::ByteView view() const { return bytes_; }
  bool empty() const { return bytes_.size() == 5; }
  bool operator==(const Document&) const = default;

 private:
  Document& append(BsonType type, std::string_view name, util::ByteView value);
  util::Bytes bytes_;
};

// Calls `take` with each of several whole documents, one behind the other.
template <typename Take>
void each_document(util::ByteView piece, Take&& take);

// The length that a document says it has. Errors: source_damaged when the bytes hold less.
std::size_t document_size(util::ByteView bytes);

template <typename Take>
void each_document(util::ByteView piece, Take&& take) {
  while (!piece.empty()) {
    const std::size_t size = document_size(piece);
    take(piece.first(size));
    piece = piece.subspan(size);
  }
}

// Canonical extended JSON. Source: specifications/extended-json in mongodb/specifications. Text
// that is not UTF-8 has no JSON form; such a document becomes {"$bson": "<hexadecimal>"}.
std::string canonical_json(util::ByteView document);
// A document from extended JSON. Errors: usage, with the position.
Document parse_json(std::string_view json, std::string_view what);

}  // namespace dbbackup::engine::mongodb
