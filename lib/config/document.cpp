#include "config/document.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "util/text.hpp"

namespace dbbackup::config {

using util::cat;

namespace {

// yaml-cpp counts lines and bytes from 0; people and editors count lines and characters from 1.
class Positions {
 public:
  explicit Positions(std::string_view text) : lines_(util::split(text, '\n')) {}

  Position of(const YAML::Mark& mark) const {
    if (mark.is_null()) return {};
    const auto line = static_cast<std::size_t>(mark.line);
    const auto bytes = static_cast<std::size_t>(mark.column);
    if (line >= lines_.size()) return {mark.line + 1, mark.column + 1};
    const std::string_view before = std::string_view(lines_[line]).substr(0, bytes);
    const auto inner = std::count_if(before.begin(), before.end(), [](char byte) {
      return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
    });
    return {mark.line + 1, mark.column + 1 - static_cast<int>(inner)};
  }

  // From 1; empty when there is none.
  std::string_view line(int number) const {
    const auto index = static_cast<std::size_t>(number) - 1;
    return index < lines_.size() ? std::string_view(lines_[index]) : std::string_view();
  }

 private:
  std::vector<std::string> lines_;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const Positions& positions, const std::string& source,
              std::vector<Diagnostic>& diagnostics)
      : positions_(positions), source_(source), diagnostics_(diagnostics) {}

  const NodePointer& root() const { return root_; }

  // A document after the first. There is no use in reading on: where the parser meets a character
  // that nothing can start with, it finds empty documents for ever.
  bool is_second() const { return second_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!root_) return;
    second_ = true;
    const Position position = positions_.of(mark);
    if (positions_.line(position.line).starts_with("---")) {
      diagnose(position, "only one YAML document is allowed in the file",
               "remove the line --- and what follows it");
    } else {
      diagnose(position, "not valid YAML: unexpected text", {});
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const std::shared_ptr<Node> node = make(Node::Kind::null, mark, {});
    // The parser notices a missing value at the next token, lines away; what is meant is its key.
    if (!open_.empty() && open_.back().key) node->position = open_.back().key->position;
    add(node, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target != anchors_.end()) {
      add(target->second, 0);
      return;
    }
    diagnose(positions_.of(mark), "the alias stands inside the value it refers to", {});
    add(make(Node::Kind::null, mark, {}), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const std::shared_ptr<Node> node = make(Node::Kind::scalar, mark, tag);
    node->text = value;
    node->quoted = tag == "!";
    add(node, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(Node::Kind::sequence, mark, tag), anchor, {}});
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(Node::Kind::mapping, mark, tag), anchor, {}});
  }
  void OnMapEnd() override { close(); }

  void diagnose(Position position, std::string message, std::string hint) {
    diagnostics_.push_back(
        {source_, position.line, position.column, std::move(message), std::move(hint)});
  }

 private:
  // A collection whose end has not been seen, and in a mapping the key that waits for its value.
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    NodePointer key;
  };

  std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->position = positions_.of(mark);
    // "?" and "!" are the parser's marks for plain and quoted values (Source: YAML 1.2
    // section 6.9.1).
    if (!tag.empty() && tag != "?" && tag != "!") {
      diagnose(node->position, cat("the tag ", in_quotes(tag), " is not supported"),
               "write the value without a tag");
    }
    return node;
  }

  void close() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    if (done.node->kind == Node::Kind::mapping) check_keys(*done.node);
    add(done.node, done.anchor);
  }

  void add(NodePointer node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      if (!root_) root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::sequence) {
      parent.node->items.push_back(std::move(node));
    } else if (!parent.key) {
      parent.key = std::move(node);
    } else {
      parent.node->entries.emplace_back(std::move(parent.key), std::move(node));
      parent.key.reset();
    }
  }

  // Drops the entries that a reader could not make sense of, after saying so.
  void check_keys(Node& mapping) {
    std::map<std::string, int, std::less<>> first_lines;
    std::erase_if(mapping.entries, [&](const auto& entry) {
      const Node& key = *entry.first;
      if (key.kind != Node::Kind::scalar) {
        diagnose(key.position, "a key must be a plain word", {});
        return true;
      }
      const auto [first, is_new] = first_lines.emplace(key.text, key.position.line);
      if (is_new) return false;
      diagnose(key.position, cat("duplicate key ", in_quotes(key.text)),
               cat("it is set on line ", first->second, " already; keep one of the two"));
      return true;
    });
  }

  const Positions& positions_;
  const std::string& source_;
  std::vector<Diagnostic>& diagnostics_;
  NodePointer root_;
  bool second_ = false;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePointer> anchors_;
};

// What YAML forbids but its parser reports far away or in words that help nobody.
bool check_lines(std::string_view text, const std::string& source,
                 std::vector<Diagnostic>& diagnostics) {
  const std::size_t before = diagnostics.size();
  int number = 0;
  for (const std::string& line : util::split(text, '\n')) {
    ++number;
    if (!util::is_valid_utf8(line)) {
      diagnostics.push_back(
          {source, number, 1, "the line is not valid UTF-8 text", "save the file as UTF-8"});
      continue;
    }
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::size_t tab = line.find('\t');
    if (tab < first) {
      diagnostics.push_back({source, number, static_cast<int>(tab) + 1,
                             "a tab cannot be used for indentation", "indent with blanks"});
    }
  }
  return diagnostics.size() == before;
}

}  // namespace

NodePointer parse_document(std::string_view text, const std::string& source,
                           std::vector<Diagnostic>& diagnostics) {
  if (!check_lines(text, source, diagnostics)) return nullptr;
  const Positions positions(text);
  TreeBuilder builder(positions, source, diagnostics);
  try {
    // Without the final newline, because yaml-cpp 0.7 takes one as the end of a quoted text that
    // was never closed, and so would swallow the rest of the file in silence.
    std::istringstream stream{std::string(text.substr(0, text.find_last_not_of(" \t\r\n") + 1))};
    YAML::Parser parser(stream);
    while (!builder.is_second() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::DeepRecursion& error) {
    builder.diagnose(positions.of(error.mark), "the file is nested too deeply", {});
    return nullptr;
  } catch (const YAML::Exception& error) {
    const bool unclosed = error.msg == YAML::ErrorMsg::EOF_IN_SCALAR;
    const std::string what = unclosed ? "a quote is opened and never closed" : error.msg;
    builder.diagnose(positions.of(error.mark), cat("not valid YAML: ", what), {});
    return nullptr;
  }
  return builder.root() ? builder.root() : std::make_shared<Node>();
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string_view start = text.substr(0, kLongest);
  if (start.size() < text.size()) {
    // A character must not be cut in two.
    while (!start.empty() && !util::is_valid_utf8(start)) start.remove_suffix(1);
    return cat("\"", util::printable(start), "...\"");
  }
  return cat("\"", util::printable(start), "\"");
}

}  // namespace dbbackup::config
