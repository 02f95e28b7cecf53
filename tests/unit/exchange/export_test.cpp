// Whole exports: each target is read back by a program that is not ours, and a failed one leaves
// its folder as it was.
#include "exchange/export.hpp"
#include "engine/sqlite/dialect.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "sqlite/sqlite.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::exchange {
namespace {

namespace fs = std::filesystem;
namespace json = util::json;
using Type = engine::Field::Type;

struct FakeTable {
  engine::TableData data;
  std::vector<std::vector<engine::Field>> rows;
};

// An artifact of a few tables; `before_row` may throw, as a repository with damage does.
class FakeTables final : public engine::ArtifactTables {
 public:
  std::vector<std::pair<std::string, bool>> statements;
  std::vector<FakeTable> tables;
  std::function<void()> before_row = [] {};
  unsigned passes = 0;

  void schema(const std::function<void(const std::string&, bool)>& each) override {
    for (const auto& [statement, after] : statements) each(statement, after);
  }
  void rows(const engine::Scope& scope, engine::RowSink& sink, util::Task& task) override {
    ++passes;
    for (const FakeTable& table : tables) {
      if (!scope.include.empty() && scope.include.front() != table.data.name) continue;
      sink.begin_table(table.data);
      for (const auto& row : table.rows) {
        before_row();
        task.check();
        sink.row(row);
      }
      sink.end_table();
    }
  }
  const engine::SqlDialect* dialect() const override { return &dialect_; }
  void write_native(const std::string&, util::Task&) override {}

 private:
  const engine::sqlite_engine::SqliteDialect dialect_;
};

engine::Field null() { return {Type::null, ""}; }
engine::Field text(const std::string& value) { return {Type::text, value}; }
engine::Field integer(const std::string& value) { return {Type::integer, value}; }

FakeTables shop() {
  FakeTables tables;
  tables.statements = {{"CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT)", false},
                       {"CREATE TABLE \"odd / \"\"name\"\"\"(a, \"b,c\")", false},
                       {"CREATE INDEX by_note ON orders(note)", true}};
  tables.tables = {
      {{"orders", {"id", "note"}},
       {{integer("1"), text("")}, {integer("2"), null()}, {integer("3"), text("a\n\"b\"")}}},
      {{"odd / \"name\"", {"a", "b,c"}}, {{{Type::blob, "\x01\x02"}, {Type::real, "1.5"}}}}};
  return tables;
}

struct Target {
  util::TemporaryFolder folder{fs::temp_directory_path(), "export-test"};
  util::QuietTask quiet;

  fs::path path(const std::string& name) const { return folder.path() / name; }
  ExportResult write(engine::ArtifactTables& tables, Format format, const std::string& name,
                     const engine::Scope& scope = {}) {
    return export_tables(tables, {format, path(name), scope, {{"artifact", "01abc"}}},
                         quiet.task());
  }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      found.insert(entry.path().filename().string());
    }
    return found;
  }
};

std::string content(const fs::path& file) {
  const auto bytes = util::read_file(file);
  REQUIRE(bytes);
  return std::string(util::as_text(*bytes));
}

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  CHECK(::pclose(pipe) == 0);
  return output;
}

std::string from_zip(const fs::path& file, const std::string& name) {
  return output_of(
      "/usr/bin/python3 -c 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); "
      "assert z.testzip() is None; sys.stdout.buffer.write(z.read(sys.argv[2]))' '" +
      file.string() + "' '" + name + "'");
}

std::string from_tar(const fs::path& file, const std::string& name) {
  return output_of("tar --zstd -xOf '" + file.string() + "' '" + name + "'");
}

util::ErrorCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const util::Error& error) {
    return error.code();
  }
  FAIL("no error was thrown");
  return util::ErrorCode::internal;
}

constexpr const char* kOrdersCsv = "id,note\r\n1,\"\"\r\n2,\r\n3,\"a\n\"\"b\"\"\"\r\n";
constexpr const char* kOddFile = "data/odd%20%2F%20%22name%22.csv";

}  // namespace

TEST_CASE("exchange: a CSV folder holds schema, metadata and one file per table", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  const ExportResult result = target.write(tables, Format::csv, "out");
  CHECK(result.tables == 2);
  CHECK(result.rows == 4);
  CHECK(target.names() == std::set<std::string>{"out"});
  const fs::path out = target.path("out");
  CHECK(content(out / "data/orders.csv") == kOrdersCsv);
  CHECK(content(out / kOddFile) == "a,\"b,c\"\r\n\\x0102,1.5\r\n");
  CHECK(content(out / "schema.sql") ==
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT);\n"
        "CREATE TABLE \"odd / \"\"name\"\"\"(a, \"b,c\");\n"
        "CREATE INDEX by_note ON orders(note);\n");
  const json::Object metadata = json::parse(content(out / "metadata.json")).as_object();
  CHECK(json::get_string(metadata, "artifact") == "01abc");
  const json::Array& listed = *json::get_array(metadata, "tables");
  REQUIRE(listed.size() == 2);
  CHECK(json::get_string(listed[1].as_object(), "name") == "odd / \"name\"");
  CHECK(json::get_string(listed[1].as_object(), "file") == kOddFile);
  CHECK(json::get_int(listed[0].as_object(), "rows") == 3);
  CHECK((fs::status(out).permissions() & fs::perms::others_all) == fs::perms::none);
  CHECK((fs::status(out / "schema.sql").permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("exchange: a folder may be named with a slash at its end", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  target.write(tables, Format::csv, "out/");
  CHECK(target.names() == std::set<std::string>{"out"});
  CHECK(content(target.path("out/data/orders.csv")) == kOrdersCsv);
}

TEST_CASE("exchange: a zip file holds the same as the folder", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  target.write(tables, Format::csv, "out.zip");
  CHECK(tables.passes == 1);
  CHECK(target.names() == std::set<std::string>{"out.zip"});
  CHECK(from_zip(target.path("out.zip"), "data/orders.csv") == kOrdersCsv);
  CHECK(from_zip(target.path("out.zip"), kOddFile) == "a,\"b,c\"\r\n\\x0102,1.5\r\n");
}

TEST_CASE("exchange: a tar.zst file holds the same as the folder", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  const ExportResult result = target.write(tables, Format::csv, "out.tar.zst");
  CHECK(result.rows == 4);  // although the rows were read twice
  CHECK(from_tar(target.path("out.tar.zst"), "data/orders.csv") == kOrdersCsv);
  CHECK(from_tar(target.path("out.tar.zst"), "schema.sql").starts_with("CREATE TABLE orders"));
}

TEST_CASE("exchange: JSON files are arrays of objects", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  tables.tables.push_back({{"empty", {"id"}}, {}});
  target.write(tables, Format::json, "out");
  const json::Array rows = json::parse(content(target.path("out/data/orders.json"))).as_array();
  REQUIRE(rows.size() == 3);
  CHECK(json::get_int(rows[0].as_object(), "id") == 1);
  CHECK(json::get_string(rows[0].as_object(), "note") == "");
  CHECK(rows[1].as_object().at("note").is_null());
  CHECK(json::get_string(rows[2].as_object(), "note") == "a\n\"b\"");
  CHECK(json::parse(content(target.path("out/data/empty.json"))).as_array().empty());
}

TEST_CASE("exchange: an SQL script makes the database again", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  target.write(tables, Format::sql, "out.sql");
  REQUIRE(fs::is_regular_file(target.path("out.sql")));
  sqlite::Connection made(":memory:", sqlite::OpenMode::create);
  made.execute(content(target.path("out.sql")));
  auto statement = made.prepare(
      "SELECT (SELECT group_concat(quote(note), ' ') FROM orders), (SELECT quote(a) FROM \"odd / "
      "\"\"name\"\"\"), (SELECT count(*) FROM sqlite_schema WHERE type = 'index')");
  REQUIRE(statement.step());
  CHECK(statement.string(0) == "'' NULL 'a\n\"b\"'");
  CHECK(statement.string(1) == "X'0102'");
  CHECK(statement.integer(2) == 1);
}

TEST_CASE("exchange: an SQL script goes into a folder or package as dump.sql", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  target.write(tables, Format::sql, "out");
  target.write(tables, Format::sql, "out.zip");
  target.write(tables, Format::sql, "out.sql");
  const std::string script = content(target.path("out.sql"));
  CHECK(content(target.path("out/dump.sql")) == script);
  CHECK(from_zip(target.path("out.zip"), "dump.sql") == script);
}

TEST_CASE("exchange: only the tables of the scope are written", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  engine::Scope scope;
  scope.include = {"orders"};
  CHECK(target.write(tables, Format::csv, "out", scope).tables == 1);
  CHECK_FALSE(fs::exists(target.path("out") / kOddFile));
}

TEST_CASE("exchange: many rows pass through in pieces", "[exchange]") {
  Target target;
  FakeTables tables;
  tables.tables = {{{"numbers", {"n"}}, {}}};
  std::string expected = "n\r\n";
  for (int i = 0; i < 60000; ++i) {
    tables.tables[0].rows.push_back({integer(std::to_string(i))});
    expected += std::to_string(i) + "\r\n";
  }
  const ExportResult result = target.write(tables, Format::csv, "out.tar.zst");
  CHECK(result.rows == 60000);
  CHECK(target.quiet.task().progress().rows == 60000);
  CHECK(from_tar(target.path("out.tar.zst"), "data/numbers.csv") == expected);
}

TEST_CASE("exchange: an existing target is refused and stays as it is", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  fs::create_directory(target.path("out"));
  std::ofstream(target.path("out.zip")) << "precious";
  fs::create_symlink(target.path("nowhere"), target.path("out.sql"));
  using util::ErrorCode;
  CHECK(code_of([&] { target.write(tables, Format::csv, "out"); }) == ErrorCode::already_exists);
  CHECK(code_of([&] { target.write(tables, Format::csv, "out/"); }) == ErrorCode::already_exists);
  CHECK(code_of([&] { target.write(tables, Format::csv, "out.zip"); }) ==
        ErrorCode::already_exists);
  CHECK(code_of([&] { target.write(tables, Format::sql, "out.sql"); }) ==
        ErrorCode::already_exists);
  CHECK(fs::is_empty(target.path("out")));
  CHECK(content(target.path("out.zip")) == "precious");
  CHECK(tables.passes == 0);
}

TEST_CASE("exchange: a target that appears while the export runs is not replaced", "[exchange]") {
  const std::string name = GENERATE("out", "out.zip", "out.tar.zst", "out.sql");
  CAPTURE(name);
  Target target;
  FakeTables tables = shop();
  tables.before_row = [&] { std::ofstream(target.path(name)) << "precious"; };
  CHECK(code_of([&] { target.write(tables, Format::sql, name); }) ==
        util::ErrorCode::already_exists);
  CHECK(target.names() == std::set<std::string>{name});
  CHECK(content(target.path(name)) == "precious");
}

TEST_CASE("exchange: a cancelled export leaves nothing behind", "[exchange]") {
  const std::string name = GENERATE("out", "out.zip", "out.tar.zst", "out.sql");
  CAPTURE(name);
  Target target;
  FakeTables tables = shop();
  int rows = 0;
  tables.before_row = [&] {
    if (++rows == 3) target.quiet.stop_source().request_stop();
  };
  CHECK(code_of([&] { target.write(tables, Format::sql, name); }) == util::ErrorCode::cancelled);
  CHECK(target.names().empty());
}

TEST_CASE("exchange: an error in the middle leaves nothing behind", "[exchange]") {
  const std::string name = GENERATE("out", "out.zip", "out.tar.zst", "out.sql");
  CAPTURE(name);
  Target target;
  FakeTables tables = shop();
  // A target with two passes fails in the second one, when the file is there.
  const int failing = name == "out.tar.zst" ? 7 : 3;
  int rows = 0;
  tables.before_row = [&] {
    if (++rows == failing) {
      CHECK(target.names().size() == 1);
      throw util::Error(util::ErrorCode::verification_failed, "chunk is damaged");
    }
  };
  CHECK(code_of([&] { target.write(tables, Format::sql, name); }) ==
        util::ErrorCode::verification_failed);
  CHECK(target.names().empty());
}

TEST_CASE("exchange: two exports to one target do not mix", "[exchange]") {
  Target target;
  FakeTables tables = shop();
  FakeTables other = shop();
  other.tables.pop_back();
  bool nested = false;
  tables.before_row = [&] {
    if (!std::exchange(nested, true)) target.write(other, Format::csv, "out");
  };
  CHECK(code_of([&] { target.write(tables, Format::csv, "out"); }) ==
        util::ErrorCode::already_exists);
  CHECK(target.names() == std::set<std::string>{"out"});
  CHECK_FALSE(fs::exists(target.path("out") / kOddFile));
}

TEST_CASE("exchange: a target in a folder that is not there says so and makes none", "[exchange]") {
  const std::string name = GENERATE("missing/out", "missing/out.zip", "missing/out.sql");
  CAPTURE(name);
  Target target;
  FakeTables tables = shop();
  CHECK(code_of([&] { target.write(tables, Format::sql, name); }) == util::ErrorCode::not_found);
  CHECK(target.names().empty());
}

}  // namespace dbbackup::exchange
