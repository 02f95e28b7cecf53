#include "sqlite/sqlite.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "util/error.hpp"
#include "util/file.hpp"

using namespace dbbackup;
using sqlite::Connection;
using sqlite::OpenMode;
using util::ErrorCode;

namespace {
template <typename Work>
ErrorCode code_of(Work&& work) {
  try {
    work();
  } catch (const util::Error& error) {
    return error.code();
  }
  FAIL("no error");
  return ErrorCode::internal;
}

struct Folder {
  util::TemporaryFolder folder{std::filesystem::temp_directory_path(), "sqlite"};
  std::string file(const std::string& name) const { return (folder.path() / name).string(); }
};
}  // namespace

TEST_CASE("values go in and come out as they are", "[sqlite]") {
  Connection db(":memory:", OpenMode::create);
  db.execute("CREATE TABLE t(a, b, c, d, e)");
  const std::string text("nul\0inside", 10);
  const util::Bytes blob{0, 1, 255};
  db.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)")
      .bind(1, 42U)
      .bind(2, 0.5)
      .bind(3, text)
      .bind(4, util::ByteView(blob))
      .bind(5, std::optional<std::string>())
      .run();
  CHECK(db.last_insert_rowid() == 1);
  CHECK(db.changes() == 1);
  auto row = db.prepare("SELECT * FROM t");
  REQUIRE(row.step());
  CHECK(row.integer(0) == 42);
  CHECK(row.real(1) == 0.5);
  CHECK(row.string(2) == text);
  CHECK(util::Bytes(row.blob(3).begin(), row.blob(3).end()) == blob);
  CHECK(row.is_null(4));
  CHECK_FALSE(row.optional_string(4));
  CHECK(row.value(2).bytes == text);
  CHECK(row.value(3).type == sqlite::ValueType::blob);
  CHECK_FALSE(row.step());
}

TEST_CASE("empty text and empty blobs are not NULL", "[sqlite]") {
  Connection db(":memory:", OpenMode::create);
  auto row = db.prepare("SELECT ?, ?");
  row.bind(1, std::string_view()).bind(2, util::ByteView());
  REQUIRE(row.step());
  CHECK(row.type(0) == sqlite::ValueType::text);
  CHECK(row.type(1) == sqlite::ValueType::blob);
}

TEST_CASE("reset keeps nothing bound", "[sqlite]") {
  Connection db(":memory:", OpenMode::create);
  auto row = db.prepare("SELECT ?");
  row.bind(1, 5).run();
  REQUIRE(row.step());
  CHECK(row.is_null(0));
}

TEST_CASE("a transaction that is not committed is rolled back", "[sqlite]") {
  Connection db(":memory:", OpenMode::create);
  db.execute("CREATE TABLE t(a)");
  {
    sqlite::Transaction transaction(db);
    db.execute("INSERT INTO t VALUES (1)");
    CHECK(db.in_transaction());
  }
  CHECK_FALSE(db.prepare("SELECT * FROM t").step());
  {
    sqlite::Transaction transaction(db);
    db.execute("INSERT INTO t VALUES (1)");
    transaction.commit();
  }
  CHECK(db.prepare("SELECT * FROM t").step());
}

TEST_CASE("errors carry SQLite's reason and our code", "[sqlite]") {
  const Folder folder;
  Connection db(folder.file("a.db"), OpenMode::create);
  db.execute("CREATE TABLE t(a UNIQUE)");
  db.execute("INSERT INTO t VALUES (1)");
  SECTION("no such file") {
    CHECK(code_of([&] { Connection(folder.file("none.db"), OpenMode::read_only); }) ==
          ErrorCode::not_found);
  }
  SECTION("not a database") {
    std::ofstream(folder.file("text")) << std::string(5000, 'x');
    Connection other(folder.file("text"), OpenMode::read_only);
    CHECK(code_of([&] { other.execute("SELECT * FROM sqlite_schema"); }) ==
          ErrorCode::source_damaged);
  }
  SECTION("locked") {
    sqlite::Transaction transaction(db);
    Connection other(folder.file("a.db"), OpenMode::read_write);
    CHECK(code_of([&] { other.execute("INSERT INTO t VALUES (2)"); }) == ErrorCode::unavailable);
  }
  SECTION("a stop request ends the wait for a lock") {
    sqlite::Transaction transaction(db);
    Connection other(folder.file("a.db"), OpenMode::read_write);
    std::stop_source stop;
    stop.request_stop();
    other.set_busy_timeout(std::chrono::hours(1), stop.get_token());
    CHECK(code_of([&] { other.execute("INSERT INTO t VALUES (2)"); }) == ErrorCode::unavailable);
  }
  SECTION("constraint") {
    CHECK(code_of([&] { db.execute("INSERT INTO t VALUES (1)"); }) == ErrorCode::conflict);
    auto insert = db.prepare("INSERT INTO t VALUES (?)");
    CHECK(code_of([&] { insert.bind(1, 1).run(); }) == ErrorCode::conflict);
    insert.bind(1, 2).run();  // the statement is usable after its failure
  }
  SECTION("read-only") {
    Connection other(folder.file("a.db"), OpenMode::read_only);
    CHECK(code_of([&] { other.execute("INSERT INTO t VALUES (2)"); }) ==
          ErrorCode::permission_denied);
  }
  SECTION("not one statement") {
    CHECK(code_of([&] { db.prepare("SELECT 1; SELECT 2"); }) == ErrorCode::usage);
    CHECK(code_of([&] { db.prepare(" "); }) == ErrorCode::usage);
  }
  SECTION("interrupted from another thread") {
    auto endless = db.prepare(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n");
    std::atomic<bool> done{false};
    std::jthread other([&] {
      while (!done) db.interrupt();
    });
    CHECK(code_of([&] { endless.step(); }) == ErrorCode::cancelled);
    done = true;
  }
}

TEST_CASE("statements that are kept come back as new, whatever became of them", "[sqlite]") {
  std::optional<sqlite::Statement> outlives;
  {
    Connection db(":memory:", OpenMode::create);
    db.keep_statements(2);
    db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)");
    const std::string insert = "INSERT INTO t VALUES (?)";
    db.prepare(insert).bind(1, 1).run();
    CHECK_THROWS(db.prepare(insert).bind(1, 1).run());  // it failed, and is kept all the same
    db.prepare(insert).bind(1, 2).run();
    db.prepare(insert).run();  // nothing is bound any more: the next number
    const std::string select = "SELECT a FROM t ORDER BY a";
    for (int i = 0; i < 3; ++i) {
      auto half_read = db.prepare(select);
      REQUIRE(half_read.step());
      CHECK(half_read.integer(0) == 1);
      auto at_the_same_time = db.prepare(select);
      REQUIRE(at_the_same_time.step());
      CHECK(at_the_same_time.integer(0) == 1);
    }
    db.execute("ALTER TABLE t ADD COLUMN b");
    auto all = db.prepare("SELECT * FROM t");
    CHECK(all.column_count() == 2);
    auto rows = db.prepare("SELECT count(*) FROM t");
    REQUIRE(rows.step());
    CHECK(rows.integer(0) == 3);
    outlives.emplace(db.prepare(select));
  }
  outlives.reset();  // the connection has gone, and those that were kept with it
}

TEST_CASE("quoting", "[sqlite]") {
  CHECK(sqlite::quote_identifier("a\"b") == "\"a\"\"b\"");
  CHECK(sqlite::quote_text("it's") == "'it''s'");
}

TEST_CASE("moving a connection leaves its statements alive", "[sqlite]") {
  Connection db(":memory:", OpenMode::create);
  auto one = db.prepare("SELECT 1");
  const Connection moved = std::move(db);
  CHECK(one.step());
}
