#include "sqlite/page_stream.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using sqlite::Connection;
using sqlite::OpenMode;

namespace {
constexpr std::uint32_t kBlock = 65536;

struct Folder {
  util::TemporaryFolder folder{std::filesystem::temp_directory_path(), "pages"};
  std::string file(const std::string& name) const { return (folder.path() / name).string(); }
};

util::Bytes copy_of(Connection& source) {
  util::Bytes bytes;
  source.execute("BEGIN; SELECT count(*) FROM sqlite_schema");
  const auto copy =
      sqlite::copy_pages(source, kBlock,
                         [&](std::uint64_t number, util::ByteView block) {
                           if (bytes.size() < number * kBlock + block.size())
                             bytes.resize(number * kBlock + block.size());
                           std::copy(block.begin(), block.end(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(number * kBlock));
                         },
                         {});
  source.execute("ROLLBACK");
  CHECK(copy.bytes == bytes.size());
  return bytes;
}

std::unique_ptr<sqlite::PageSource> source_of(const util::Bytes& bytes) {
  return std::make_unique<sqlite::PageSource>(
      "test", bytes.size(), [&](std::uint64_t offset, std::span<std::uint8_t> out) {
        std::memcpy(out.data(), bytes.data() + offset, out.size());
      });
}

void fill(Connection& db, int rows) {
  db.execute("PRAGMA synchronous=off");
  db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX i ON t(a)");
  db.execute(util::cat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<",
                       rows, ") INSERT INTO t SELECT i, hex(randomblob(40)) FROM n"));
}
}  // namespace

TEST_CASE("a copy of pages equals the file byte by byte", "[sqlite][pages]") {
  const Folder folder;
  for (const int page_size : {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}) {
    for (const char* journal : {"delete", "wal"}) {
      for (const int auto_vacuum : {0, 1, 2}) {
        CAPTURE(page_size, journal, auto_vacuum);
        const std::string path = folder.file(util::cat(page_size, journal, auto_vacuum));
        Connection db(path, OpenMode::create);
        db.execute(util::cat("PRAGMA page_size=", page_size, "; PRAGMA auto_vacuum=", auto_vacuum,
                             "; PRAGMA journal_mode=", journal));
        fill(db, 3000);
        db.execute("DELETE FROM t WHERE id % 3 = 0; CREATE TABLE u(x); PRAGMA user_version=77");
        if (std::string(journal) == "wal") db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        Connection reader(path, OpenMode::read_only);
        const util::Bytes bytes = copy_of(reader);
        // Reading a file while SQLite has it open here drops its locks; nobody else uses this one.
        CHECK(bytes == *util::read_file(path));
        const auto source = source_of(bytes);
        Connection copy = source->open();
        auto check = copy.prepare("PRAGMA integrity_check");
        REQUIRE(check.step());
        CHECK(check.text(0) == "ok");
      }
    }
  }
}

TEST_CASE("pages that are still in the log are part of the copy", "[sqlite][pages]") {
  const Folder folder;
  Connection db(folder.file("wal.db"), OpenMode::create);
  db.execute("PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0");
  fill(db, 5000);
  const util::Bytes bytes = copy_of(db);
  const auto source = source_of(bytes);
  Connection copy = source->open();
  auto count =
      copy.prepare("SELECT count(*), (SELECT schema_version FROM pragma_schema_version) FROM t");
  REQUIRE(count.step());
  CHECK(count.integer(0) == 5000);
  auto version = db.prepare("PRAGMA schema_version");
  version.step();
  CHECK(count.integer(1) == version.integer(0));
}

TEST_CASE("an empty file has no blocks", "[sqlite][pages]") {
  const Folder folder;
  Connection db(folder.file("empty.db"), OpenMode::create);
  CHECK(copy_of(db).empty());
}

TEST_CASE("a stop request ends a copy", "[sqlite][pages]") {
  const Folder folder;
  for (const char* journal : {"delete", "wal"}) {
    Connection db(folder.file(journal), OpenMode::create);
    db.execute(util::cat("PRAGMA journal_mode=", journal));
    fill(db, 20000);
    db.execute("BEGIN; SELECT count(*) FROM t");
    std::stop_source stop;
    int blocks = 0;
    const auto take = [&](std::uint64_t, util::ByteView) {
      ++blocks;
      stop.request_stop();
    };
    try {
      sqlite::copy_pages(db, kBlock, take, stop.get_token());
      FAIL("not cancelled");
    } catch (const util::Error& error) {
      CHECK(error.code() == util::ErrorCode::cancelled);
    }
    CHECK(blocks == 1);
  }
}

TEST_CASE("exceptions of callbacks come through SQLite unchanged", "[sqlite][pages]") {
  const Folder folder;
  struct Mine {};
  for (const char* journal : {"delete", "wal"}) {
    Connection db(folder.file(journal), OpenMode::create);
    db.execute(util::cat("PRAGMA journal_mode=", journal));
    fill(db, 20000);
    db.execute("BEGIN; SELECT count(*) FROM t");
    CHECK_THROWS_AS(
        sqlite::copy_pages(db, kBlock, [](std::uint64_t, util::ByteView) { throw Mine(); }, {}),
        Mine);
  }
  sqlite::PageSource source("broken", 8192,
                            [](std::uint64_t, std::span<std::uint8_t>) { throw Mine(); });
  CHECK_THROWS_AS(source.run([&] { source.open().execute("SELECT * FROM sqlite_schema"); }), Mine);
}

TEST_CASE("copying into a live database is one transaction for others", "[sqlite][pages]") {
  const Folder folder;
  Connection db(folder.file("a.db"), OpenMode::create);
  db.execute("PRAGMA journal_mode=wal");
  fill(db, 5000);
  const util::Bytes bytes = copy_of(db);
  const auto source = source_of(bytes);

  SECTION("a WAL reader sees the old content until it looks again") {
    Connection target(folder.file("b.db"), OpenMode::create);
    target.execute("PRAGMA journal_mode=wal; CREATE TABLE old(x); INSERT INTO old VALUES (1)");
    Connection reader(folder.file("b.db"), OpenMode::read_only);
    reader.execute("BEGIN; SELECT * FROM old");
    Connection from = source->open();
    sqlite::copy_pages_into(from, target, util::Milliseconds(100), [](std::uint64_t) {}, {});
    auto old = reader.prepare("SELECT * FROM old");
    CHECK(old.step());
    old.reset();
    reader.execute("ROLLBACK");
    auto count = reader.prepare("SELECT count(*) FROM t");
    REQUIRE(count.step());
    CHECK(count.integer(0) == 5000);
  }
  SECTION("another page size is taken over under a rollback journal and refused in WAL mode") {
    for (const bool wal : {false, true}) {
      Connection target(folder.file(wal ? "w.db" : "r.db"), OpenMode::create);
      target.execute(
          util::cat("PRAGMA page_size=1024; PRAGMA journal_mode=", wal ? "wal" : "delete"));
      target.execute("CREATE TABLE old(x)");
      Connection from = source->open();
      const auto copy = [&] {
        sqlite::copy_pages_into(from, target, util::Milliseconds(100), [](std::uint64_t) {}, {});
      };
      if (wal) {
        CHECK_THROWS_AS(copy(), util::Error);
      } else {
        copy();
        CHECK(target.prepare("SELECT * FROM t").step());
      }
    }
  }
  SECTION("a reader under a rollback journal that does not let go makes it unavailable") {
    Connection target(folder.file("c.db"), OpenMode::create);
    target.execute("CREATE TABLE old(x)");
    Connection reader(folder.file("c.db"), OpenMode::read_only);
    reader.execute("BEGIN; SELECT * FROM old");
    Connection from = source->open();
    try {
      sqlite::copy_pages_into(from, target, util::Milliseconds(60), [](std::uint64_t) {}, {});
      FAIL("not refused");
    } catch (const util::Error& error) {
      CHECK(error.code() == util::ErrorCode::unavailable);
    }
    auto old = reader.prepare("SELECT count(*) FROM old");
    CHECK(old.step());
  }
}
