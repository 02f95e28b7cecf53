#include "control/shape.hpp"

#include <catch2/catch.hpp>

#include "util/error.hpp"

namespace dbbackup::control {
namespace {

std::string mismatch(std::string_view shape, std::string_view json) {
  return Shape(shape).mismatch(util::json::parse(json)).value_or("");
}

TEST_CASE("leaves of a shape", "[control]") {
  CHECK(mismatch("string", R"("a")").empty());
  CHECK(mismatch("string", "1") == "the value: not a string");
  CHECK(mismatch("int", "-3").empty());
  CHECK(mismatch("int", "18446744073709551615").empty());
  CHECK(mismatch("int", "1.5") == "the value: not an int");
  CHECK(mismatch("number", "1.5").empty());
  CHECK(mismatch("number", "2").empty());
  CHECK(mismatch("number", R"("2")") == "the value: not a number");
  CHECK(mismatch("bool", "true").empty());
  CHECK(mismatch("bool", "0") == "the value: not a bool");
  CHECK(mismatch("any", "null").empty());
  CHECK(mismatch("object", "{}").empty());
  CHECK(mismatch("object", "[]") == "the value: not an object");
}

TEST_CASE("a time is UTC with milliseconds", "[control]") {
  CHECK(mismatch("time", R"("2026-11-21T09:33:00.000Z")").empty());
  for (const char* wrong : {R"("2026-11-21T09:33:00Z")", R"("2026-11-21T09:33:00.000+01:00")",
                            R"("2026-11-21")", R"("")", "1", R"("2026-11-21T09:33:00.000Zx")"}) {
    CHECK(mismatch("time", wrong) == "the value: not a time in UTC with milliseconds");
  }
}

TEST_CASE("a mismatch names the path", "[control]") {
  const char* const shape = "{runs: [{id: string, error: {code: string}?, size: int?}]}";
  CHECK(mismatch(shape, R"({"runs": []})").empty());
  CHECK(mismatch(shape, R"({"runs": [{"id": "a", "more": 1}]})").empty());
  CHECK(mismatch(shape, R"({"runs": [{"id": "a", "error": null, "size": null}]})").empty());
  CHECK(mismatch(shape, R"({"runs": [{"id": "a"}, {"id": 1}]})") == "runs[1].id: not a string");
  CHECK(mismatch(shape, R"({"runs": [{"id": "a", "error": {}}]})") ==
        "runs[0].error.code: missing");
  CHECK(mismatch(shape, R"({"runs": {}})") == "runs: not an array");
  CHECK(mismatch(shape, "{}") == "runs: missing");
  CHECK(mismatch(shape, R"({"runs": null})") == "runs: not an array");
  CHECK(mismatch(shape, "[]") == "the value: not an object");
}

TEST_CASE("a shape may name another", "[control]") {
  CHECK(mismatch("{e: Error?}", "{}").empty());
  CHECK(mismatch("{e: Error}", R"({"e": {"code": "io", "message": "x"}})").empty());
  CHECK(mismatch("{e: Error}", R"({"e": {"code": "io"}})") == "e.message: missing");
  CHECK_THROWS_AS(mismatch("Nobody", "1"), util::Error);
}

TEST_CASE("text outside the grammar is refused", "[control]") {
  for (const char* wrong : {"", "strin", "[string", "{a string}", "{a: string", "{: string}",
                            "string string", "{a: string,}", "[]", "{}"}) {
    INFO(wrong);
    CHECK_THROWS_AS(Shape(wrong), util::Error);
  }
}

TEST_CASE("every named shape resolves the names in it", "[control]") {
  for (const auto& [name, shape] : named_shapes()) {
    const std::string& text = shape.text();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] < 'A' || text[i] > 'Z') continue;
      const std::size_t end = text.find_first_of(" ,]}?", i);
      const std::string used = text.substr(i, end - i);
      INFO(name << " uses " << used);
      CHECK(named_shapes().contains(used));
      i += used.size();
    }
  }
}

}  // namespace
}  // namespace dbbackup::control
