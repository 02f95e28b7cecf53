#include "control/shape.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

namespace json = util::json;

struct Shape::Node {
  enum class Kind { string, integer, number, boolean, time, any, object, array, fields, name };

  Kind kind = Kind::any;
  bool optional = false;    // may be null, and as a field absent
  std::string field;        // its name in the object it belongs to
  std::string shape;        // for Kind::name
  std::vector<Node> parts;  // the fields of an object, the one element of an array

  // The path under `path` where `value` differs and how; empty when it does not.
  std::optional<std::string> mismatch(const json::Value& value, const std::string& path) const;
};

namespace {

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Cuts the grammar's text into words and punctuation.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool take(char expected) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }
  void expect(char expected) {
    if (!take(expected)) fail(util::cat("'", std::string(1, expected), "'"));
  }
  std::string word() {
    skip_blanks();
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word_character(text_[at_])) ++at_;
    if (at_ == start) fail("a word");
    return std::string(text_.substr(start, at_ - start));
  }
  void expect_end() {
    skip_blanks();
    if (at_ != text_.size()) fail("the end");
  }
  [[noreturn]] void fail(std::string_view expected) const {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("shape '", text_, "': expected ", expected, " at ", at_));
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// RFC 3339 as this product writes it: 2026-11-21T09:33:00.000Z.
bool is_utc_milliseconds(std::string_view text) {
  constexpr std::string_view kPattern = "dddd-dd-ddTdd:dd:dd.dddZ";
  return std::ranges::equal(text, kPattern, [](char c, char pattern) {
    return pattern == 'd' ? c >= '0' && c <= '9' : c == pattern;
  });
}

const Shape& named_shape(std::string_view name) {
  const auto found = named_shapes().find(name);
  if (found == named_shapes().end()) {
    throw util::Error(util::ErrorCode::internal, util::cat("no shape is named '", name, "'"));
  }
  return found->second;
}

// Parses one T of the grammar. A template because Shape::Node is Shape's own.
template <typename Node>
Node parse_node(Scanner& scanner) {
  using Kind = typename Node::Kind;
  Node node;
  if (scanner.take('[')) {
    node.kind = Kind::array;
    node.parts.push_back(parse_node<Node>(scanner));
    scanner.expect(']');
  } else if (scanner.take('{')) {
    node.kind = Kind::fields;
    do {
      std::string field = scanner.word();
      scanner.expect(':');
      node.parts.push_back(parse_node<Node>(scanner));
      node.parts.back().field = std::move(field);
    } while (scanner.take(','));
    scanner.expect('}');
  } else {
    static const std::map<std::string, Kind, std::less<>> kLeaves = {
        {"string", Kind::string}, {"int", Kind::integer}, {"number", Kind::number},
        {"bool", Kind::boolean},  {"time", Kind::time},   {"any", Kind::any},
        {"object", Kind::object},
    };
    const std::string word = scanner.word();
    const auto leaf = kLeaves.find(word);
    if (leaf != kLeaves.end()) {
      node.kind = leaf->second;
    } else if (word.front() >= 'A' && word.front() <= 'Z') {
      node.kind = Kind::name;
      node.shape = word;
    } else {
      scanner.fail(util::cat("a leaf or a capitalised name instead of '", word, "'"));
    }
  }
  node.optional = scanner.take('?');
  return node;
}

std::optional<std::string> unless(bool fits, const std::string& path, std::string_view what) {
  if (fits) return std::nullopt;
  return util::cat(path.empty() ? "the value" : path, ": not ", what);
}

}  // namespace

std::optional<std::string> Shape::Node::mismatch(const json::Value& value,
                                                 const std::string& path) const {
  if (optional && value.is_null()) return std::nullopt;
  switch (kind) {
    case Kind::any:
      return std::nullopt;
    case Kind::string:
      return unless(value.is_string(), path, "a string");
    case Kind::integer:
      return unless(value.is_int64() || value.is_uint64(), path, "an int");
    case Kind::number:
      return unless(value.is_number(), path, "a number");
    case Kind::boolean:
      return unless(value.is_bool(), path, "a bool");
    case Kind::time:
      return unless(value.is_string() && is_utc_milliseconds(value.get_string()), path,
                    "a time in UTC with milliseconds");
    case Kind::object:
      return unless(value.is_object(), path, "an object");
    case Kind::name:
      return named_shape(shape).root_->mismatch(value, path);
    case Kind::array: {
      if (!value.is_array()) return unless(false, path, "an array");
      std::size_t index = 0;
      for (const json::Value& item : value.get_array()) {
        if (auto wrong = parts.front().mismatch(item, util::cat(path, "[", index, "]"))) {
          return wrong;
        }
        ++index;
      }
      return std::nullopt;
    }
    case Kind::fields: {
      if (!value.is_object()) return unless(false, path, "an object");
      const std::string prefix = path.empty() ? "" : path + ".";
      for (const Node& part : parts) {
        const json::Value* member = value.get_object().if_contains(part.field);
        if (member == nullptr) {
          if (part.optional) continue;
          return util::cat(prefix, part.field, ": missing");
        }
        if (auto wrong = part.mismatch(*member, prefix + part.field)) return wrong;
      }
      return std::nullopt;
    }
  }
  return std::nullopt;
}

Shape::Shape(std::string_view text) : text_(text) {
  Scanner scanner(text_);
  root_ = std::make_shared<const Node>(parse_node<Node>(scanner));
  scanner.expect_end();
}

std::optional<std::string> Shape::mismatch(const json::Value& value) const {
  return root_->mismatch(value, "");
}

}  // namespace dbbackup::control
