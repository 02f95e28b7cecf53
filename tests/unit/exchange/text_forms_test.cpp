// One value in each format; what a reader of the format must be able to tell apart, stays apart.
#include "exchange/text_forms.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "exchange/file_set.hpp"
#include "sqlite/sqlite.hpp"
#include "util/json.hpp"

namespace dbbackup::exchange {
namespace {

using Type = engine::Field::Type;

engine::Field text(const std::string& value) { return {Type::text, value}; }

std::string csv(const engine::Field& field) {
  std::string out;
  append_csv(field, out);
  return out;
}

std::string json_of(const engine::Field& field) {
  std::string out;
  append_json(field, out);
  return out;
}

}  // namespace

TEST_CASE("exchange: CSV keeps NULL and the empty string apart", "[exchange]") {
  CHECK(csv({Type::null, ""}).empty());
  CHECK(csv(text("")) == "\"\"");
}

TEST_CASE("exchange: CSV quotes what would be read as structure", "[exchange]") {
  CHECK(csv(text("plain text")) == "plain text");
  CHECK(csv(text("a,b")) == "\"a,b\"");
  CHECK(csv(text("say \"hi\"")) == "\"say \"\"hi\"\"\"");
  CHECK(csv(text("two\nlines")) == "\"two\nlines\"");
  CHECK(csv(text("carriage\rreturn")) == "\"carriage\rreturn\"");
  CHECK(csv(text("Grüße 🐘")) == "Grüße 🐘");
}

TEST_CASE("exchange: CSV shows a blob as hexadecimal and quotes text that looks like one",
          "[exchange]") {
  CHECK(csv({Type::blob, std::string("\x00\xff\x10", 3)}) == "\\x00ff10");
  CHECK(csv({Type::blob, ""}) == "\\x");
  CHECK(csv(text("\\x00ff10")) == "\"\\x00ff10\"");
}

TEST_CASE("exchange: CSV and JSON show numbers with all their digits", "[exchange]") {
  const engine::Field smallest{Type::integer, "-9223372036854775808"};
  const engine::Field real{Type::real, "0.10000000000000001"};
  CHECK(csv(smallest) == "-9223372036854775808");
  CHECK(json_of(smallest) == "-9223372036854775808");
  CHECK(csv(real) == "0.10000000000000001");
  CHECK(json_of(real) == "0.10000000000000001");
  CHECK(csv({Type::real, "-inf"}) == "-inf");
}

TEST_CASE("exchange: JSON says what it has no form for", "[exchange]") {
  CHECK(json_of({Type::null, ""}) == "null");
  CHECK(json_of(text("")) == "\"\"");
  CHECK(json_of({Type::real, "inf"}) == R"({"$real":"inf"})");
  CHECK(json_of({Type::real, "-inf"}) == R"({"$real":"-inf"})");
  CHECK(json_of({Type::blob, std::string("\x00\xff", 2)}) == R"({"$hex":"00ff"})");
  CHECK(json_of(text("\xff not UTF-8")) == R"({"$hex":"ff206e6f74205554462d38"})");
}

TEST_CASE("exchange: JSON text survives being parsed again", "[exchange]") {
  for (const std::string& value :
       {std::string("quote \" backslash \\ slash /"), std::string("line\nbreak\ttab\x01"),
        std::string("Grüße 🐘"), std::string("{\"$hex\":\"00\"}")}) {
    CHECK(std::string(util::json::parse(json_of(text(value))).as_string()) == value);
  }
}

TEST_CASE("exchange: table names become file names that cannot collide or leave the folder",
          "[exchange]") {
  CHECK(file_name_of("orders") == "orders");
  CHECK(file_name_of("main.orders-2024_v1") == "main.orders-2024_v1");
  CHECK(file_name_of("../../etc/passwd") == "%2E.%2F..%2Fetc%2Fpasswd");
  CHECK(file_name_of(".hidden") == "%2Ehidden");
  CHECK(file_name_of("two words\n") == "two%20words%0A");
  CHECK(file_name_of("100%") == "100%25");
  CHECK(file_name_of("two%20words") != file_name_of("two words"));
  CHECK(file_name_of("größe") == "gr%C3%B6%C3%9Fe");
}

}  // namespace dbbackup::exchange
