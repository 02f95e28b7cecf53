#include "control/wire.hpp"

#include <catch2/catch.hpp>

namespace dbbackup::control {
namespace {

namespace json = util::json;

Refusal refusal_of(std::string_view line) {
  auto parsed = parse_request(line);
  REQUIRE(std::holds_alternative<Refusal>(parsed));
  return std::get<Refusal>(parsed);
}

TEST_CASE("a request is read", "[control]") {
  auto parsed = parse_request(
      R"({"jsonrpc":"2.0","id":"a","method":"job.show","params":{"name":"x"},"extra":1})");
  REQUIRE(std::holds_alternative<Request>(parsed));
  const auto& request = std::get<Request>(parsed);
  CHECK(request.id == json::Value("a"));
  CHECK(request.command == find_command("job.show"));
  CHECK(request.params.at("name") == "x");
  // Without params, and with a carriage return before the line end.
  parsed = parse_request("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"job.list\"}\r");
  CHECK(std::get<Request>(parsed).id == json::Value(7));
}

TEST_CASE("what is no request is refused with the specification's code", "[control]") {
  struct Case {
    std::string line;
    int code;
    std::string id;
  };
  const Case cases[] = {
      {"", kParseError, "null"},
      {"nonsense", kParseError, "null"},
      {"{\"a\":", kParseError, "null"},
      {std::string("\x00\xff\xfe", 3), kParseError, "null"},
      {std::string(40, '[') + std::string(40, ']'), kParseError, "null"},
      {"1", kInvalidRequest, "null"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"job.list"}])", kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","method":"job.list"})", kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":null,"method":"job.list"})", kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"job.list"})", kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":{},"method":"job.list"})", kInvalidRequest, "null"},
      {R"({"id":1,"method":"job.list"})", kInvalidRequest, "1"},
      {R"({"jsonrpc":"1.0","id":1,"method":"job.list"})", kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1})", kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":5})", kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":"q","method":"job.lits"})", kMethodNotFound, "\"q\""},
      {R"({"jsonrpc":"2.0","id":1,"method":"job.list","params":[1]})", -32602, "1"},
  };
  for (const Case& one : cases) {
    INFO(one.line);
    const Refusal refusal = refusal_of(one.line);
    CHECK(refusal.wire_code == one.code);
    CHECK(json::write(refusal.id) == one.id);
    CHECK(refusal.error.code() == util::ErrorCode::usage);
  }
}

TEST_CASE("a method with a typing error gets a suggestion", "[control]") {
  const auto refusal = refusal_of(R"({"jsonrpc":"2.0","id":1,"method":"jbo.list"})");
  CHECK(refusal.error.hint() == "did you mean 'job.list'?");
  const std::string huge(100000, 'x');
  const auto error = refusal_of(R"({"jsonrpc":"2.0","id":1,"method":")" + huge + "\"}").error;
  CHECK(error.hint().empty());
  CHECK(error.message().size() < 200);
}

TEST_CASE("errors survive the wire", "[control]") {
  for (const auto& traits : util::all_error_traits()) {
    const util::Error error(traits.code, "table \"a\" is gone", "look elsewhere");
    const json::Value line = json::parse(error_line(3, error));
    const json::Object& object = line.as_object().at("error").as_object();
    CHECK(object.at("code").as_int64() == traits.wire_code);
    const util::Error back = error_from_wire(object);
    CHECK(back.code() == traits.code);
    CHECK(back.message() == error.message());
    CHECK(back.hint() == error.hint());
  }
  CHECK(error_from_wire({}).code() == util::ErrorCode::internal);
}

TEST_CASE("a line is one line of UTF-8 whatever is in it", "[control]") {
  const util::Error error(util::ErrorCode::io, "cannot read /tmp/a\nb\xff\xc3\xa9\xc3");
  const std::string line = error_line(1, error);
  CHECK(line.find('\n') == line.size() - 1);
  const json::Value value = json::parse(line);
  CHECK(error_from_wire(value.as_object().at("error").as_object()).message() ==
        "cannot read /tmp/a\nb\xEF\xBF\xBD\xc3\xa9\xEF\xBF\xBD");
}

TEST_CASE("what is written down has no secrets", "[control]") {
  const auto kept = without_secrets(
      *find_command("database.add"),
      json::parse(R"({"name": "x", "url": "postgresql://u:hunter2@h:5432/d", "password": "hunter2",
                      "pasword": "hunter2", "options": {"sslmode": "require",
                      "access_key": "hunter2", "sas_token": "hunter2"}})")
          .as_object());
  CHECK(json::write(kept) ==
        R"x({"name":"x","url":"postgresql://u@h:5432/d",)x"
        R"x("options":{"sslmode":"require","access_key":"(secret)","sas_token":"(secret)"}})x");

  const auto url_kept = [](const char* url) {
    return without_secrets(*find_command("database.add"), json::Object{{"url", url}}).at("url");
  };
  CHECK(url_kept("sqlite:///srv/a:b@c.db") == "sqlite:///srv/a:b@c.db");
  CHECK(url_kept("mysql://u:p@ss@h/d") == "mysql://u@h/d");
  CHECK(url_kept("mysql://u:hunter2@") == "mysql://u@");
  CHECK(url_kept("mongodb://h:27017/d") == "mongodb://h:27017/d");
  CHECK(url_kept("postgresql://h/d?sslpassword=hunter2&sslmode=require") ==
        "postgresql://h/d?sslpassword=***&sslmode=require");
  CHECK(url_kept("postgresql://h/d?a=1&password=hunter2") == "postgresql://h/d?a=1&password=***");
}

}  // namespace
}  // namespace dbbackup::control
