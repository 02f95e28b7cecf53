// Shapes of replies, written as text, so that the command table can say what it answers and tests
// can hold it to that.
//
// Grammar: `string int number bool time any object` are leaves; `T?` may be null or absent; `[T]`
// is an array;
// `{name: T, other: T?}` an object with at least these members (unknown members are allowed: they
// may appear later); `Name` refers to a shape registered in named_shapes() (Run, Artifact, Job,
// Schedule, Database, Repository, ...).
//
// Threads: immutable after construction.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "util/json.hpp"

namespace dbbackup::control {

class Shape {
 public:
  // Errors: internal, for text outside the grammar. (A shape is written by us, never by a user.)
  explicit Shape(std::string_view text);

  const std::string& text() const { return text_; }
  // Empty when `value` has this shape; otherwise the path and what is wrong there ("runs[0].id: not
  // a string").
  std::optional<std::string> mismatch(const util::json::Value& value) const;

 private:
  struct Node;
  std::string text_;
  std::shared_ptr<const Node> root_;
};

// The named shapes, as in interface.md "JSON".
const std::map<std::string, Shape, std::less<>>& named_shapes();

}  // namespace dbbackup::control
