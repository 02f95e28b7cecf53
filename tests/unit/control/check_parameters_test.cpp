#include <catch2/catch.hpp>

#include "control/command.hpp"
#include "util/error.hpp"

namespace dbbackup::control {
namespace {

const Command& all_types() {
  static const Command command = {
      .name = "test.all",
      .summary = "Takes everything.",
      .parameters =
          {
              {.name = "name", .required = true, .positional = true, .summary = "the name"},
              {.name = "kind", .summary = "the kind", .choices = {"one", "two"}},
              {.name = "count", .type = ParameterType::integer, .summary = "s"},
              {.name = "dry_run", .type = ParameterType::boolean, .summary = "s"},
              {.name = "include", .type = ParameterType::strings, .summary = "s"},
              {.name = "options", .type = ParameterType::options, .summary = "s"},
              {.name = "delay", .type = ParameterType::duration, .summary = "s"},
              {.name = "since", .type = ParameterType::time, .summary = "s"},
              {.name = "password", .type = ParameterType::secret, .summary = "s"},
          },
      .result = Shape("any"),
  };
  return command;
}

util::json::Object check(std::string_view params) {
  return check_parameters(all_types(), util::json::parse(params).as_object());
}

util::Error error_of(std::string_view params) {
  try {
    check(params);
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::usage);
    return error;
  }
  FAIL("accepted: " << params);
  throw;
}

TEST_CASE("parameters of every type pass", "[control]") {
  const auto params = check(R"({"name": "x", "kind": "two", "count": 3, "dry_run": false,
      "include": ["a", "b"], "options": {"k": "v"}, "delay": "2h30m",
      "since": "2026-11-21T09:30:00Z", "password": "p"})");
  CHECK(params.size() == 9);
  CHECK(params.at("count").as_int64() == 3);
}

TEST_CASE("decimal text becomes an integer, null and absent stay absent", "[control]") {
  const auto params = check(R"({"name": "x", "count": "12", "dry_run": null})");
  CHECK(params.at("count").as_int64() == 12);
  CHECK_FALSE(params.contains("dry_run"));
  CHECK(params.size() == 2);
}

TEST_CASE("wrong parameters are named", "[control]") {
  const auto start = [](std::string_view parameter) {
    return "test.all: parameter '" + std::string(parameter) + "' ";
  };
  CHECK(error_of("{}").message() == start("name") + "is missing");
  CHECK(error_of("{}").hint() == "name: the name");
  CHECK(error_of(R"({"name": null})").message() == start("name") + "is missing");
  CHECK(error_of(R"({"name": 1})").message() == start("name") + "is not a string");
  CHECK(error_of(R"({"name": "a\u0000b"})").message() ==
        start("name") + "contains a NUL character");
  CHECK(error_of(R"({"name": "x", "kind": "tow"})").hint() == "one of: one, two");
  CHECK(error_of(R"({"name": "x", "count": 1.5})").message() ==
        start("count") + "is not a whole number");
  for (const char* count : {R"("1x")", "true", "18446744073709551615", R"("")", "[1]"}) {
    CHECK(error_of(std::string(R"({"name": "x", "count": )") + count + "}").message() ==
          start("count") + "is not a whole number");
  }
  for (const char* count : {"-1", R"("-7")"}) {
    CHECK(error_of(std::string(R"({"name": "x", "count": )") + count + "}").message() ==
          start("count") + "is negative");
  }
  CHECK(error_of(R"({"name": "x", "dry_run": "yes"})").message() ==
        start("dry_run") + "is not true or false");
  CHECK(error_of(R"({"name": "x", "include": "a"})").message() ==
        start("include") + "is not an array of strings");
  CHECK(error_of(R"({"name": "x", "include": ["a", 1]})").message() ==
        start("include") + "is not a string");
  CHECK(error_of(R"({"name": "x", "options": ["a=b"]})").message() ==
        start("options") + "is not an object of strings");
  CHECK(error_of(R"({"name": "x", "options": {"a": 1}})").message() ==
        start("options") + "is not a string");
  CHECK(error_of(R"({"name": "x", "delay": "90"})").message() ==
        start("delay") + "is not a duration");
  CHECK(error_of(R"({"name": "x", "since": "tomorrow"})").message() ==
        start("since") + "is not a time");
}

TEST_CASE("an unknown parameter gets a suggestion", "[control]") {
  const auto error = error_of(R"({"name": "x", "inclued": ["a"]})");
  CHECK(error.message() == "test.all: there is no parameter 'inclued'");
  CHECK(error.hint() == "did you mean 'include'?");
  CHECK(error_of(R"({"name": "x", "qqqqqqqqqqqqqqqq": 1})").hint().empty());
  // Not compared with anything, and not shown whole.
  CHECK(error_of("{\"" + std::string(100000, 'a') + "\": 1}").message().size() < 200);
}

TEST_CASE("a secret is never in the message", "[control]") {
  CHECK(error_of(R"({"name": "x", "password": ["hunter2"]})").message().find("hunter2") ==
        std::string::npos);
}

}  // namespace
}  // namespace dbbackup::control
