#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "engine/sqlite/read_back.hpp"
#include "support/sqlite_fixture.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using engine::RestoreMode;
using sqlite::Connection;
using sqlite::OpenMode;
using util::cat;
using util::ErrorCode;

namespace {
MemoryArtifact sample(const SqliteFolder& folder) {
  folder.create("source.db")
      .execute(
          "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(a);"
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<30000)"
          "INSERT INTO t SELECT i, hex(randomblob(30)) FROM n; INSERT INTO u VALUES ('small')");
  return back_up(*folder.engine("source.db"));
}
}  // namespace

TEST_CASE("a database nobody has open is replaced by a rename", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  folder.create("target.db").execute("PRAGMA journal_mode=wal; CREATE TABLE old(x)");
  ::chmod(folder.file("target.db").c_str(), 0640);
  struct stat before {};
  ::stat(folder.file("target.db").c_str(), &before);
  const auto result = restore(*folder.engine("target.db"), artifact, in_mode(RestoreMode::replace));
  CHECK(result.fingerprint == artifact.summary.proof);
  struct stat after {};
  ::stat(folder.file("target.db").c_str(), &after);
  CHECK((after.st_mode & 0777) == 0640);
  if (::geteuid() == 0)
    CHECK(after.st_ino != before.st_ino);  // others cannot prove that it is not open
  CHECK_FALSE(std::filesystem::exists(folder.file("target.db-wal")));
}

TEST_CASE("a link is followed, not replaced", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  std::ofstream(folder.file("real.db")).close();
  std::filesystem::create_symlink(folder.file("real.db"), folder.file("link.db"));
  restore(*folder.engine("link.db"), artifact);
  CHECK(std::filesystem::is_symlink(folder.file("link.db")));
  CHECK(std::filesystem::file_size(folder.file("real.db")) > 0);
}

TEST_CASE("a database that is open changes under its user's feet, atomically", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  for (const char* journal : {"wal", "delete"}) {
    const std::string name = cat(journal, ".db");
    Connection user = folder.create(name);
    user.execute(
        cat("PRAGMA journal_mode=", journal, "; CREATE TABLE old(x); INSERT INTO old VALUES (1)"));
    Connection reader(folder.file(name), OpenMode::read_only);
    const bool wal = std::string(journal) == "wal";
    if (wal) reader.execute("BEGIN; SELECT * FROM old");
    const auto result = restore(*folder.engine(name), artifact, in_mode(RestoreMode::replace));
    CHECK(result.fingerprint == artifact.summary.proof);
    CHECK(one(user, "SELECT count(*) FROM t") == "30000");
    if (wal) {
      CHECK(one(reader, "SELECT x FROM old") == "1");  // its transaction still sees its state
      reader.execute("ROLLBACK");
    }
    CHECK(one(reader, "SELECT count(*) FROM t") == "30000");
    CHECK(one(user, "PRAGMA journal_mode") == journal);
  }
}

TEST_CASE("an open WAL database of another page size is refused with a way out",
          "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  Connection user = folder.create("target.db");
  user.execute("PRAGMA page_size=1024; PRAGMA journal_mode=wal; CREATE TABLE old(x)");
  const auto error = error_of(
      [&] { restore(*folder.engine("target.db"), artifact, in_mode(RestoreMode::replace)); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK_FALSE(error.hint().empty());
  CHECK(one(user, "SELECT count(*) FROM old") == "0");
}

TEST_CASE("protected files are refused under every name", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  folder.create("control.db").execute("CREATE TABLE c(x)");
  std::filesystem::create_hard_link(folder.file("control.db"), folder.file("hard.db"));
  std::filesystem::create_symlink(folder.file("control.db"), folder.file("soft.db"));
  const engine::Settings settings{{}, {}, {folder.file("control.db")}};
  for (const char* name : {"control.db", "hard.db", "soft.db"}) {
    for (const auto mode : {RestoreMode::create, RestoreMode::replace, RestoreMode::append}) {
      const auto error =
          error_of([&] { restore(*folder.engine(name, settings), artifact, in_mode(mode)); });
      CHECK(error.code() == ErrorCode::refused);
    }
  }
}

TEST_CASE("one small table of a large artifact reads few chunks", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  MemoryArtifactReader reader(artifact);
  engine::RestoreRequest request;
  request.scope.include = {"u"};
  util::QuietTask quiet;
  const auto target = folder.engine("target.db");
  const auto result = target->restore(reader, request, quiet.task());
  REQUIRE(result.fingerprint.size() == 1);
  CHECK(result.fingerprint[0].hash.rows() == 1);
  CHECK(reader.chunks_read() <= 3);
  CHECK(artifact.stream("pages/main").info.chunks > 10);
}

TEST_CASE("replacing chosen tables leaves the others alone", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  folder.create("target.db")
      .execute(
          "CREATE TABLE u(a, extra); INSERT INTO u VALUES (1, 2); CREATE TABLE mine(x); INSERT "
          "INTO mine VALUES (5)");
  auto request = in_mode(RestoreMode::replace);
  request.scope.include = {"u"};
  restore(*folder.engine("target.db"), artifact, request);
  Connection target(folder.file("target.db"), OpenMode::read_only);
  CHECK(one(target, "SELECT a FROM u") == "small");
  CHECK(one(target, "SELECT x FROM mine") == "5");
  CHECK(one(target, "SELECT count(*) FROM sqlite_schema WHERE name = 't'") == "0");
}

TEST_CASE("a failed append leaves the target as it was", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  folder.create("target.db")
      .execute(
          "CREATE TABLE u(a); CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES "
          "(29999, 'mine')");
  const auto error = error_of(
      [&] { restore(*folder.engine("target.db"), artifact, in_mode(RestoreMode::append)); });
  CHECK(error.code() == ErrorCode::conflict);
  CHECK(error.message().find("table t") != std::string::npos);
  Connection target(folder.file("target.db"), OpenMode::read_only);
  CHECK(one(target, "SELECT count(*) FROM t") == "1");
  CHECK(one(target, "SELECT count(*) FROM u") == "0");
}

TEST_CASE("damaged pages do not replace anything", "[engine][sqlite]") {
  const SqliteFolder folder;
  auto artifact = sample(folder);
  auto& content = artifact.streams.at("pages/main")->content;
  std::fill(content.begin() + 8 * 4096, content.begin() + 9 * 4096, std::uint8_t{0xee});
  folder.create("target.db").execute("CREATE TABLE old(x)");
  const auto names = folder.names();
  CHECK_THROWS_AS(restore(*folder.engine("target.db"), artifact, in_mode(RestoreMode::replace)),
                  util::Error);
  Connection target(folder.file("target.db"), OpenMode::read_only);
  CHECK(one(target, "SELECT count(*) FROM old") == "0");
  CHECK(folder.names() == names);
}

TEST_CASE("the integrity check is left out only with a note", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  engine::RestoreRequest request;
  request.integrity_check = false;
  CHECK(restore(*folder.engine("a.db"), artifact, request).warnings.size() == 1);
}

TEST_CASE("what a drill has proved is restored byte for byte, without looking at rows again",
          "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  engine::RestoreRequest request;
  request.proved_by = "01run";
  const auto result = restore(*folder.engine("b.db"), artifact, request);
  CHECK(result.proved_by_bytes);
  CHECK(result.warnings.empty());
  CHECK(result.fingerprint == artifact.summary.proof);
  util::QuietTask quiet;
  CHECK(folder.engine("b.db")->fingerprint({}, quiet.task()) == artifact.summary.proof);
}

TEST_CASE("a file that gives back other bytes than were written is found out", "[engine][sqlite]") {
  const SqliteFolder folder;
  util::Bytes content(3 << 20U);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::uint8_t>(i * 7);
  const std::string path = folder.file("copy");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
  const util::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto read_back = [&] {
    engine::sqlite_engine::ReadBack comparison(file.get(), path);
    for (std::size_t offset = 0; offset < content.size(); offset += 1U << 20U) {
      comparison.expect(offset, util::ByteView(content).subspan(offset, 1U << 20U));
    }
    comparison.finish();
  };
  CHECK_NOTHROW(read_back());
  content[(2U << 20U) + 17] ^= 1U;
  CHECK_THROWS_WITH(read_back(), Catch::Contains("other bytes at 2097152"));
  content.resize(4U << 20U);
  content[(2U << 20U) + 17] ^= 1U;
  CHECK_THROWS_WITH(read_back(), Catch::Contains("shorter than what was written"));
}

TEST_CASE("an artifact's tables are read without restoring it", "[engine][sqlite]") {
  const SqliteFolder folder;
  folder.create("source.db")
      .execute(
          "CREATE TABLE t(a, b, c, d, e); INSERT INTO t VALUES (NULL, -3, 0.5, 'it''s', x'00ff'); "
          "CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT 1");
  struct Sink final : engine::RowSink {
    void begin_table(const engine::TableData& table) override { columns = table.columns; }
    void row(const std::vector<engine::Field>& fields) override { rows.push_back(fields); }
    void end_table() override { ++ended; }
    std::vector<std::string> columns;
    std::vector<std::vector<engine::Field>> rows;
    int ended = 0;
  };
  engine::Scope scope;
  scope.include = {"*"};
  for (const bool whole : {true, false}) {
    const auto artifact = back_up(*folder.engine("source.db"), whole ? engine::Scope() : scope);
    MemoryArtifactReader reader(artifact);
    const auto tables = engine::open_tables(reader);
    std::vector<std::string> before;
    std::vector<std::string> after;
    tables->schema([&](const std::string& sql, bool after_data) {
      (after_data ? after : before).push_back(sql);
    });
    CHECK(before == std::vector<std::string>{"CREATE TABLE t(a, b, c, d, e)"});
    CHECK(after.size() == (whole ? 2 : 1));
    Sink sink;
    util::QuietTask quiet;
    tables->rows({}, sink, quiet.task());
    CHECK(sink.columns == std::vector<std::string>{"a", "b", "c", "d", "e"});
    REQUIRE(sink.rows.size() == 1);
    using Type = engine::Field::Type;
    const auto& row = sink.rows[0];
    CHECK(row[0].type == Type::null);
    CHECK((row[1].type == Type::integer && row[1].value == "-3"));
    CHECK((row[2].type == Type::real && row[2].value == "0.5"));
    CHECK((row[3].type == Type::text && row[3].value == "it's"));
    CHECK((row[4].type == Type::blob && row[4].value == std::string("\0\xff", 2)));
    const std::string native = folder.file(whole ? "native.db" : "native-part.db");
    tables->write_native(native, quiet.task());
    Connection copy(native, OpenMode::read_only);
    CHECK(one(copy, "SELECT d FROM t") == "it's");
  }
}

TEST_CASE("a drill restores into scratch space", "[engine][sqlite]") {
  const SqliteFolder folder;
  const auto artifact = sample(folder);
  const auto scratch =
      engine::make_scratch_engine("sqlite", {folder.folder.path().string(), "drill", {}}, {});
  CHECK(restore(*scratch, artifact).fingerprint == artifact.summary.proof);
}
