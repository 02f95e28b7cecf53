// A YAML text as a plain tree that remembers where everything stood.
//
// yaml-cpp's own Node keeps both of two equal keys and answers with the first, ignores every
// document after the first, and lets an alias refer to the collection it is inside of. The tree
// here is built from the parser's events instead: those three are diagnosed, and the readers above
// it need no third-party header.
//
// Threads: values and pure functions. Owns: a Node shares its children, since aliases make one
// value appear twice.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/diagnostic.hpp"

namespace dbbackup::config {

// Both from 1; the column counts characters.
struct Position {
  int line = 1;
  int column = 1;
};

struct Node;
using NodePointer = std::shared_ptr<const Node>;

struct Node {
  enum class Kind { null, scalar, sequence, mapping };

  Kind kind = Kind::null;
  Position position;               // of an aliased value: where it was written
  std::string text;                // of a scalar
  bool quoted = false;             // a scalar in quotes or a block: never a number
  std::vector<NodePointer> items;  // of a sequence
  std::vector<std::pair<NodePointer, NodePointer>>
      entries;  // of a mapping, in order; keys are scalars, each once
};

// The only document of `text`; an empty text is a null node. What is wrong is added to
// `diagnostics`; the result is empty when there is nothing left to read.
NodePointer parse_document(std::string_view text, const std::string& source,
                           std::vector<Diagnostic>& diagnostics);

// `text` for a message: quoted, control characters made visible, cut when long.
std::string in_quotes(std::string_view text);

}  // namespace dbbackup::config
