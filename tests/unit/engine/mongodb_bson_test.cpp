#include <catch2/catch.hpp>

#include "engine/mongodb/bson.hpp"
#include "engine/mongodb/diff.hpp"
#include "util/error.hpp"

using namespace dbbackup;
using namespace dbbackup::engine::mongodb;

namespace {
Document json(std::string_view text) { return parse_json(text, "a test's document"); }
std::string after(std::string_view document, std::string_view delta) {
  return canonical_json(apply_delta(json(document).view(), json(delta).view()).view());
}
std::string canonical(std::string_view text) { return canonical_json(json(text).view()); }
}  // namespace

TEST_CASE("documents are built, walked and found by path", "[engine][mongodb]") {
  Document document;
  document.text("name", "Ärger")
      .int32("", -5)
      .int64("big", std::int64_t{1} << 40U)
      .boolean("yes", true)
      .timestamp("at", {1700000000, 7})
      .document("inner", Document().array("list", {Document().text("a", "b")}))
      .int32("name", 2);
  Walker walker(document.view());
  std::vector<std::string> names;
  while (const auto element = walker.next()) names.emplace_back(element->name);
  CHECK(names == std::vector<std::string>{"name", "", "big", "yes", "at", "inner", "name"});
  CHECK(find_text(document.view(), "name") == "Ärger");
  CHECK(find_integer(document.view(), "") == -5);
  CHECK(find_integer(document.view(), "big") == std::int64_t{1} << 40U);
  CHECK(find_truth(document.view(), "yes"));
  CHECK(find(document.view(), "at")->timestamp() == Timestamp{1700000000, 7});
  CHECK(find_path(document.view(), {"inner", "list", "0", "a"})->text() == "b");
  CHECK_FALSE(find_path(document.view(), {"inner", "other"}));
  CHECK_FALSE(find_path(document.view(), {"name", "other"}));
  CHECK(Document().all_but(document.view(), {"name", "inner"}).int32("x", 1).view().size() == 49);
}

TEST_CASE("damaged documents are refused, wherever they are cut", "[engine][mongodb]") {
  const Document whole =
      json(R"({"a": {"b": ["x", 1, null]}, "c": {"$binary": {"base64": "AAAA", "subType": "00"}},
               "d": {"$regularExpression": {"pattern": "x", "options": "i"}}, "e": 1.5})");
  const auto walk = [](util::ByteView bytes) {
    Walker walker(bytes);
    while (walker.next()) {
    }
  };
  CHECK_NOTHROW(walk(whole.view()));
  for (std::size_t size = 0; size < whole.view().size(); ++size) {
    CHECK_THROWS_AS(walk(whole.view().first(size)), util::Error);
  }
  // The same cuts, with a length that agrees.
  for (std::size_t size = 6; size + 1 < whole.view().size(); ++size) {
    util::Bytes cut(whole.view().begin(), whole.view().begin() + static_cast<std::ptrdiff_t>(size));
    cut.back() = 0;
    cut[0] = static_cast<std::uint8_t>(size);
    try {
      walk(cut);  // some cuts are documents by chance; none may be read beyond its end
    } catch (const util::Error& error) {
      CHECK(error.code() == util::ErrorCode::source_damaged);
    }
  }
}

TEST_CASE("deltas of the oplog change documents as the server does", "[engine][mongodb]") {
  CHECK(after(R"({"_id": 1, "a": 1, "b": 2})", R"({"u": {"a": 5}})") ==
        canonical(R"({"_id": 1, "a": 5, "b": 2})"));
  CHECK(after(R"({"_id": 1, "a": 1, "b": 2})", R"({"d": {"a": false}, "i": {"z": 1, "c": 2}})") ==
        canonical(R"({"_id": 1, "b": 2, "z": 1, "c": 2})"));
  // A field inserted again moves to the end, an update of a missing one is appended.
  CHECK(after(R"({"a": 1, "b": 2})", R"({"u": {"new": 3}, "i": {"a": 9}})") ==
        canonical(R"({"b": 2, "new": 3, "a": 9})"));
  CHECK(after(R"({"in": {"x": 1, "y": {"z": 1}}})",
              R"({"sin": {"u": {"x": 2}, "sy": {"d": {"z": false}}}})") ==
        canonical(R"({"in": {"x": 2, "y": {}}})"));
  CHECK(after(R"({"l": [1, 2, 3]})", R"({"sl": {"a": true, "u1": 9}})") ==
        canonical(R"({"l": [1, 9, 3]})"));
  CHECK(after(R"({"l": [1, 2, 3]})", R"({"sl": {"a": true, "l": 1}})") ==
        canonical(R"({"l": [1]})"));
  CHECK(after(R"({"l": [1]})", R"({"sl": {"a": true, "u3": 4}})") ==
        canonical(R"({"l": [1, null, null, 4]})"));
  CHECK(after(R"({"l": [{"x": 1}, 2]})", R"({"sl": {"a": true, "s0": {"u": {"x": 7}}}})") ==
        canonical(R"({"l": [{"x": 7}, 2]})"));
  // Made for an older state: a later entry sets the field.
  CHECK(after(R"({"in": 5})", R"({"sin": {"u": {"x": 2}}})") == canonical(R"({"in": 5})"));
  CHECK_THROWS_AS(after(R"({"a": 1})", R"({"q": {"a": 1}})"), util::Error);
  CHECK_THROWS_AS(after(R"({"a": [1]})", R"({"sa": {"a": true, "x1": 1}})"), util::Error);
}

TEST_CASE("text that is not UTF-8 has a JSON form all the same", "[engine][mongodb]") {
  const Document odd = Document().text("a", "\xff\xfe");
  CHECK(canonical_json(odd.view()).starts_with("{ \"$bson\" : \""));
  CHECK_THROWS_AS(parse_json("{", "x"), util::Error);
}
