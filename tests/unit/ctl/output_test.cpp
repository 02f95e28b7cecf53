#include "ctl/output.hpp"

#include <catch2/catch.hpp>
#include <sstream>

namespace dbbackup::ctl {

namespace json = util::json;
using util::Error;
using util::ErrorCode;

namespace {

struct Shown {
  std::string out;
  std::string err;
};

template <typename Action>
Shown show(Format format, Action action, bool quiet = false) {
  std::ostringstream out;
  std::ostringstream err;
  const Terminal terminal;
  Output output(out, err, terminal, format, quiet);
  action(output);
  return {out.str(), err.str()};
}

std::string reply(Format format, const json::Object& object) {
  return show(format, [&](Output& output) { output.reply(object); }).out;
}

const json::Object& databases() {
  static const json::Object reply{
      {"schema_version", 1},
      {"databases", json::Array{json::Object{{"name", "a"}}, json::Object{{"name", "b"}}}}};
  return reply;
}

}  // namespace

TEST_CASE("ctl: a list is one object, an object per line, or a name per line") {
  CHECK(json::parse(reply(Format::json, databases())) == json::Value(databases()));
  CHECK(reply(Format::json, databases()).starts_with("{\n  \"schema_version\": 1"));
  CHECK(reply(Format::jsonl, databases()) == "{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
  CHECK(reply(Format::name, databases()) == "a\nb\n");
}

TEST_CASE("ctl: runs and artifacts are named by id, removals by what was removed") {
  const json::Object artifact{{"id", "01jd"}, {"name", "shop@2026"}};
  CHECK(reply(Format::name, {{"artifact", artifact}}) == "01jd\n");
  CHECK(reply(Format::name, {{"repository", json::Object{{"id", "x"}, {"name", "vault"}}}}) ==
        "vault\n");
  CHECK(reply(Format::name, {{"removed", "shop"}}) == "shop\n");
  CHECK(reply(Format::name, {{"keys", json::Array{json::Object{{"slot", 2}}}}}) == "2\n");
  CHECK(reply(Format::jsonl, {{"run", json::Object{{"id", "01jd"}}}, {"report", nullptr}}) ==
        "{\"id\":\"01jd\"}\n");
}

TEST_CASE("ctl: a reply of several parts is one line and loses none of them") {
  const json::Object status{{"schema_version", 1},
                            {"daemon", json::Object{{"version", "1"}}},
                            {"jobs", json::Array{json::Object{{"name", "nightly"}}}}};
  CHECK(reply(Format::jsonl, status) == json::write(status) + "\n");
  CHECK(reply(Format::name, status) == "nightly\n");
}

TEST_CASE("ctl: a list with facts beside it is a list") {
  const json::Object explained{{"schema_version", 1},
                               {"cron", "@daily"},
                               {"fires", json::Array{json::Object{{"at", "t1"}, {"local", "x"}},
                                                     json::Object{{"at", "t2"}}}}};
  CHECK(reply(Format::jsonl, explained) == "{\"at\":\"t1\",\"local\":\"x\"}\n{\"at\":\"t2\"}\n");
  CHECK(reply(Format::name, explained) == "t1\nt2\n");
  const json::Object diff{
      {"a", "01jd"}, {"b", "01je"}, {"streams", json::Array{json::Object{{"name", "data/x"}}}}};
  CHECK(reply(Format::name, {{"diff", diff}}) == "data/x\n");
}

TEST_CASE("ctl: an answer without names is refused as such") {
  const json::Object report{{"report", json::Object{{"removable_bytes", 7}}}};
  CHECK_THROWS_WITH(reply(Format::name, report), Catch::Contains("no names"));
}

TEST_CASE("ctl: a name cannot forge lines") {
  CHECK(reply(Format::name, {{"removed", "a\nb"}}) == "a\\x0ab\n");
}

TEST_CASE("ctl: an error is a line, a hint and with -o json an object") {
  const Error error(ErrorCode::not_found, "there is no database \x1b[1mx",
                    "dbbackupctl database list");
  const auto action = [&](Output& output) { output.error(error); };
  const Shown people = show(Format::table, action);
  CHECK(people.out.empty());
  CHECK(people.err ==
        "dbbackupctl: there is no database \\x1b[1mx (not_found)\n"
        "hint: dbbackupctl database list\n");
  const Shown scripts = show(Format::json, action);
  CHECK(json::parse(scripts.out) ==
        json::parse(R"({"error":{"code":"not_found","message":"there is no database \u001b[1mx",)"
                    R"("hint":"dbbackupctl database list"}})"));
  CHECK(show(Format::jsonl, action).out.find('\n') == show(Format::jsonl, action).out.size() - 1);
  const Shown no_hint =
      show(Format::table, [](Output& output) { output.error(Error(ErrorCode::internal, "x")); });
  CHECK(no_hint.err == "dbbackupctl: x (internal)\n");
}

TEST_CASE("ctl: quiet leaves results and errors") {
  const Shown shown = show(
      Format::table,
      [](Output& output) {
        output.note("note");
        output.warning("warning");
        output.line("result");
        output.error(Error(ErrorCode::io, "broken"));
      },
      true);
  CHECK(shown.out == "result\n");
  CHECK(shown.err == "dbbackupctl: broken (io)\n");
}

TEST_CASE("ctl: fields are aligned and empty ones left out") {
  const Shown shown = show(Format::table, [](Output& output) {
    output.fields({{"Id", "1"}, {"Repository", "-"}, {"Name", "a\nb"}});
  });
  CHECK(shown.out == "Id:    1\nName:  a\\x0ab\n");
}

}  // namespace dbbackup::ctl
