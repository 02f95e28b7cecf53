#include "config/document.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace dbbackup::config {
namespace {

struct Parsed {
  NodePointer root;
  std::vector<Diagnostic> diagnostics;
};

Parsed parse(std::string_view text) {
  Parsed parsed;
  parsed.root = parse_document(text, "f.yaml", parsed.diagnostics);
  return parsed;
}

// Every diagnostic on a line of its own.
std::string complaints(std::string_view text) {
  std::string all;
  for (const Diagnostic& diagnostic : parse(text).diagnostics) all += one_line(diagnostic) + "\n";
  return all;
}

}  // namespace

TEST_CASE("config: the tree remembers kinds and positions", "[config]") {
  const Parsed parsed = parse("a: 1\nb:\n  - 'x'\n  - ~\n");
  REQUIRE(parsed.diagnostics.empty());
  REQUIRE(parsed.root->kind == Node::Kind::mapping);
  REQUIRE(parsed.root->entries.size() == 2);
  const auto& [key, value] = parsed.root->entries[0];
  CHECK(key->text == "a");
  CHECK(value->text == "1");
  CHECK_FALSE(value->quoted);
  CHECK(value->position.column == 4);
  const Node& list = *parsed.root->entries[1].second;
  REQUIRE(list.kind == Node::Kind::sequence);
  CHECK(list.items.at(0)->quoted);
  CHECK(list.items.at(0)->position.line == 3);
  CHECK(list.items.at(1)->kind == Node::Kind::null);
}

TEST_CASE("config: columns count characters, also with Windows line ends", "[config]") {
  CHECK(complaints("\"gr\xc3\xbc\xc3\x9f\x65\": 1\r\nx: {\"\xe2\x82\xac\": 1, a: 1, a: 2}\r\n") ==
        "f.yaml:2:19: duplicate key \"a\"\n");
}

TEST_CASE("config: broken YAML is reported with its position", "[config]") {
  CHECK(complaints("a: [1, }\n") == "f.yaml:1:8: not valid YAML: illegal flow end\n");
  CHECK(complaints("a: 1\n b: 2\n") == "f.yaml:2:3: not valid YAML: illegal map value\n");
  CHECK(complaints("a: *nowhere\n") ==
        "f.yaml:1:4: not valid YAML: the referenced anchor is not defined\n");
  CHECK(parse("a: [1, }\n").root == nullptr);
  // yaml-cpp 0.7 by itself finds empty documents in these without end.
  CHECK(complaints("\n ,") == "f.yaml:2:2: not valid YAML: unexpected text\n");
  CHECK(complaints("a: 1\n]\n") == "f.yaml:2:1: not valid YAML: illegal flow end\n");
}

TEST_CASE("config: a quote that is never closed does not swallow the file", "[config]") {
  for (const char* text : {"a: \"/x", "a: \"/x\n", "a: \"/x\nb: 1\n\n", "a: '/x\nb: 1\n# end\n"}) {
    INFO(text);
    CHECK(complaints(text).find("a quote is opened and never closed") != std::string::npos);
  }
}

TEST_CASE("config: mistakes before a syntax error are kept", "[config]") {
  CHECK(complaints("x: {a: 1, a: 2}\ny: ]\n") ==
        "f.yaml:1:11: duplicate key \"a\"\nf.yaml:2:4: not valid YAML: illegal flow end\n");
}

TEST_CASE("config: tabs in the indentation are refused, elsewhere they are fine", "[config]") {
  CHECK(complaints("a:\n\tb: 1\n  \tc: 1\n") ==
        "f.yaml:2:1: a tab cannot be used for indentation\n"
        "f.yaml:3:3: a tab cannot be used for indentation\n");
  CHECK(complaints("a: 1 \t# note\n\t# comment\n\t\n").empty());
}

TEST_CASE("config: text that is not UTF-8 is refused", "[config]") {
  CHECK(complaints("a: 1\nb: \xff\n") == "f.yaml:2:1: the line is not valid UTF-8 text\n");
  CHECK(complaints(std::string_view("a: \0", 4)) ==
        "f.yaml:1:1: the line is not valid UTF-8 text\n");
  CHECK(complaints(std::string_view("\xff\xfe\x61\0", 4)) ==
        "f.yaml:1:1: the line is not valid UTF-8 text\n");
}

TEST_CASE("config: what yaml-cpp would pass over in silence is refused", "[config]") {
  CHECK(complaints("a: 1\n---\nb: 1\n") ==
        "f.yaml:2:1: only one YAML document is allowed in the file\n");
  CHECK(complaints("a: &x [1, *x]\n") ==
        "f.yaml:1:11: the alias stands inside the value it refers to\n");
  CHECK(complaints("a: !secret x\n") == "f.yaml:1:4: the tag \"!secret\" is not supported\n");
  CHECK(complaints("[a]: 1\n") == "f.yaml:1:1: a key must be a plain word\n");
  CHECK(complaints("l:\n  - {a: 1, a: 1}\n") == "f.yaml:2:12: duplicate key \"a\"\n");
}

TEST_CASE("config: nesting and aliases cannot exhaust memory or stack", "[config]") {
  CHECK(complaints(std::string(100000, '[')).find("nested too deeply") != std::string::npos);
  // A billion laughs: each level holds the one before nine times, all of them shared.
  std::string laughs = "a0: &a0 [x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    laughs += name + ": &" + name + " [";
    for (int k = 0; k < 9; ++k) laughs += before + ", ";
    laughs += "]\n";
  }
  CHECK(parse(laughs).diagnostics.empty());
}

TEST_CASE("config: a diagnostic is shown with its line and a caret", "[config]") {
  const Diagnostic diagnostic{"f.yaml", 2, 6, "wrong", "do this"};
  CHECK(render(diagnostic, "a\nk\xc3\xbcy: v\r\nb\n") ==
        "f.yaml:2:6: wrong\n"
        "  2 | k\xc3\xbcy: v\n"
        "    |      ^\n"
        "hint: do this\n");
  CHECK(render(diagnostic, "\n\ta: \x1b[31m\n") ==
        "f.yaml:2:6: wrong\n"
        "  2 | \ta: ?[31m\n"
        "    | \t    ^\n"
        "hint: do this\n");
  CHECK(render({"f.yaml", 9, 1, "wrong", {}}, "one line") == "f.yaml:9:1: wrong\n");
  CHECK(render({"f.yaml", 0, 0, "cannot be used", {}}, "x") == "f.yaml: cannot be used\n");
}

TEST_CASE("config: foreign text is shown in quotes, tamed and cut", "[config]") {
  CHECK(in_quotes("plain") == "\"plain\"");
  CHECK(in_quotes("a\x1b[0m\n") == "\"a\\x1b[0m\\x0a\"");
  CHECK(in_quotes(std::string(100, 'x')) == "\"" + std::string(60, 'x') + "...\"");
  CHECK(in_quotes(std::string(59, 'x') + "\xc3\xbc!") == "\"" + std::string(59, 'x') + "...\"");
}

}  // namespace dbbackup::config
