#include <catch2/catch.hpp>
#include <string>

#include "engine/row_text.hpp"

namespace dbbackup::engine {

namespace {
using Fields = std::vector<std::optional<std::string>>;

Fields split(std::string_view line) {
  Fields fields;
  split_row(line, fields);
  return fields;
}
}  // namespace

TEST_CASE("row text: every byte comes back from its escaped form", "[engine]") {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  std::string line;
  append_row_field(all, line);
  line += '\t';
  append_row_field(std::nullopt, line);
  line += '\t';
  append_row_field("", line);
  line += '\t';
  append_row_field("\\N", line);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(split(line) == Fields{all, std::nullopt, "", "\\N"});
}

TEST_CASE("row text: the escapes of both COPY and LOAD DATA are understood", "[engine]") {
  CHECK(split("\\b\\f\\n\\r\\t\\v\\Z\\0\\q") == Fields{std::string("\b\f\n\r\t\v\x1a\0q", 9)});
  CHECK(split("") == Fields{""});
  CHECK(split("\t") == Fields{"", ""});
}

TEST_CASE("row text: a vector that held a longer row is cut to the new one", "[engine]") {
  Fields fields;
  split_row("a\tb\tc", fields);
  split_row("\\N\tx", fields);
  CHECK(fields == Fields{std::nullopt, "x"});
}

}  // namespace dbbackup::engine
