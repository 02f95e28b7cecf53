#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "support/sqlite_fixture.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using sqlite::Connection;
using sqlite::OpenMode;
using util::cat;
using util::ErrorCode;

namespace {
void fill_with_everything(Connection& db) {
  db.execute(R"sql(
    CREATE TABLE plain(a, b TEXT, c REAL);
    INSERT INTO plain(rowid, a, b, c) VALUES (10, NULL, 'tab	and
line', 1e300), (-5, x'00ff0a09', '', 0.1),
      (77, 9223372036854775807, char(0, 92, 13, 10), -0.0), (78, 9e999, 'é☃', 3.0);
    CREATE TABLE keyed(id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE);
    INSERT INTO keyed(v) VALUES (1), (2), (3); DELETE FROM keyed WHERE id = 3;
    CREATE TABLE odd_key(id INTEGER PRIMARY KEY DESC, v); INSERT INTO odd_key VALUES (5, 'x');
    CREATE TABLE without(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO without VALUES ('k', 1);
    CREATE TABLE strict_one(i INT, t TEXT, b BLOB, r REAL, any ANY) STRICT;
    INSERT INTO strict_one VALUES (1, 't', x'01', 2.5, 'any');
    CREATE TABLE computed(a INT, s INT AS (a * 2) STORED, v INT AS (a * 3) VIRTUAL);
    INSERT INTO computed(a) VALUES (7);
    CREATE TABLE shadowed(rowid, _rowid_, oid); INSERT INTO shadowed VALUES (1, 2, 3);
    CREATE VIRTUAL TABLE docs USING fts5(title, body);
    INSERT INTO docs VALUES ('one', 'quick brown fox'), ('two', 'lazy dog');
    CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0.5, 1.5);
    CREATE INDEX plain_b ON plain(b) WHERE b <> '';
    CREATE VIEW seen AS SELECT a FROM plain;
    CREATE TRIGGER noted AFTER INSERT ON without BEGIN INSERT INTO plain(a) VALUES (new.k); END;
    CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE child(p REFERENCES parent);
    INSERT INTO child VALUES (99);
    ANALYZE;
    PRAGMA user_version=42; PRAGMA application_id=4711;
  )sql");
}
}  // namespace

TEST_CASE("everything a SQLite file can hold comes back byte by byte", "[engine][sqlite]") {
  const SqliteFolder folder;
  for (const char* encoding : {"UTF-8", "UTF-16le", "UTF-16be"}) {
    for (const char* journal : {"delete", "wal"}) {
      CAPTURE(encoding, journal);
      const std::string name = cat(encoding, journal, ".db");
      {
        Connection db = folder.create(name);
        db.execute(cat("PRAGMA encoding='", encoding, "'; PRAGMA journal_mode=", journal));
        fill_with_everything(db);
      }
      const auto artifact = back_up(*folder.engine(name));
      const auto target = folder.engine("copy-" + name);
      const auto result = restore(*target, artifact);
      CHECK(result.fingerprint == artifact.summary.proof);
      // The reference without its parent was in the source: told, not refused.
      REQUIRE(result.warnings.size() == 1);
      CHECK(result.warnings[0].find("child has 1 rows") != std::string::npos);
      CHECK(*util::read_file(folder.file("copy-" + name)) == *util::read_file(folder.file(name)));
      Connection copy(folder.file("copy-" + name), OpenMode::read_write);
      CHECK(one(copy, "SELECT title FROM docs WHERE docs MATCH 'lazy'") == "two");
      CHECK(one(copy, "PRAGMA journal_mode") == journal);
      CHECK(one(copy, "PRAGMA user_version") == "42");
    }
  }
  for (const std::string& name : folder.names()) {
    CHECK(name.find("dbbackup") == std::string::npos);  // no temporary files stay behind
  }
}

TEST_CASE("chosen tables come back as rows, from rows and from pages", "[engine][sqlite]") {
  const SqliteFolder folder;
  {
    Connection db = folder.create("source.db");
    fill_with_everything(db);
  }
  const auto source = folder.engine("source.db");
  engine::Scope scope;
  scope.include = {"plain",    "keyed",    "odd_key", "without", "strict_one",
                   "computed", "shadowed", "docs",    "boxes"};
  const auto whole = back_up(*source);
  const auto part = back_up(*source, scope);
  CHECK(part.streams.contains("data/main.plain"));
  CHECK_FALSE(part.streams.contains("data/main.parent"));
  for (const auto* artifact : {&whole, &part}) {
    const std::string name = artifact == &whole ? "from-pages.db" : "from-rows.db";
    engine::RestoreRequest request;
    if (artifact == &whole) request.scope = scope;
    const auto result = restore(*folder.engine(name), *artifact, request);
    CHECK(sorted(result.fingerprint) == sorted(part.summary.proof));
    Connection copy(folder.file(name), OpenMode::read_write);
    CHECK(one(copy, "PRAGMA integrity_check") == "ok");
    CHECK(one(copy, "SELECT title FROM docs WHERE docs MATCH 'lazy'") == "two");
    CHECK(one(copy, "SELECT id FROM boxes WHERE x0 > 0.1") == "1");
    CHECK(one(copy, "SELECT count(*) FROM plain") == "4");  // triggers did not fire
    CHECK(one(copy, "SELECT count(*) FROM sqlite_schema WHERE name IN ('noted', 'plain_b')") ==
          "2");
    CHECK(one(copy, "PRAGMA application_id") == "4711");
    copy.execute("INSERT INTO keyed(v) VALUES ('new')");
    CHECK(one(copy, "SELECT max(id) FROM keyed") == "4");  // 3 was used once
    copy.execute("INSERT INTO docs VALUES ('three', 'new words')");
    CHECK(one(copy, "SELECT title FROM docs WHERE docs MATCH 'words'") == "three");
  }
}

TEST_CASE("conditions choose rows", "[engine][sqlite]") {
  const SqliteFolder folder;
  folder.create("a.db").execute(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')");
  engine::Scope scope;
  scope.where = {{"t", "id > 1 -- comment"}};
  const auto artifact = back_up(*folder.engine("a.db"), scope);
  CHECK(restore(*folder.engine("b.db"), artifact).fingerprint == artifact.summary.proof);
  CHECK(artifact.summary.proof.at(0).hash.rows() == 2);
  SECTION("that are not SQL are refused") {
    for (const char* condition : {"id >", "1); DELETE FROM t; SELECT (1", "nonsense = 1 +"}) {
      scope.where = {{"t", condition}};
      CHECK(error_of([&] { back_up(*folder.engine("a.db"), scope); }).code() == ErrorCode::usage);
    }
  }
  SECTION("on unknown tables are refused") {
    scope.where = {{"tt", "1"}};
    CHECK(error_of([&] { back_up(*folder.engine("a.db"), scope); }).code() == ErrorCode::not_found);
  }
}

TEST_CASE("2000 tables", "[engine][sqlite]") {
  const SqliteFolder folder;
  {
    Connection db = folder.create("a.db");
    sqlite::Transaction transaction(db);
    for (int i = 0; i < 2000; ++i) {
      db.execute(cat("CREATE TABLE t", i, "(a, b); INSERT INTO t", i, " VALUES (", i, ", 'x')"));
    }
    transaction.commit();
  }
  const auto artifact = back_up(*folder.engine("a.db"));
  CHECK(artifact.summary.proof.size() == 2001);
  CHECK(restore(*folder.engine("b.db"), artifact).fingerprint == artifact.summary.proof);
}

TEST_CASE("a large table is proved in ranges, also with rowids at both ends", "[engine][sqlite]") {
  const SqliteFolder folder;
  {
    Connection db = folder.create("a.db");
    db.execute("CREATE TABLE t(v); CREATE TABLE u(id INTEGER PRIMARY KEY)");
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50000) INSERT INTO t "
        "SELECT i FROM n");
    db.execute("INSERT INTO u VALUES (-9223372036854775808), (0), (9223372036854775807)");
  }
  const auto artifact = back_up(*folder.engine("a.db"));
  CHECK(artifact.summary.proof.at(0).hash.rows() == 50000);
  CHECK(artifact.summary.proof.at(1).hash.rows() == 3);
}

TEST_CASE("one large value", "[engine][sqlite]") {
  const SqliteFolder folder;
  folder.create("a.db").execute("CREATE TABLE t(v); INSERT INTO t VALUES (randomblob(30000000))");
  const auto artifact = back_up(*folder.engine("a.db"));
  CHECK(restore(*folder.engine("b.db"), artifact).fingerprint == artifact.summary.proof);
}

TEST_CASE("a file without a byte is an empty database", "[engine][sqlite]") {
  const SqliteFolder folder;
  std::ofstream(folder.file("a.db")).close();
  const auto artifact = back_up(*folder.engine("a.db"));
  CHECK(artifact.stream("pages/main").content.empty());
  CHECK(restore(*folder.engine("b.db"), artifact).fingerprint == artifact.summary.proof);
  CHECK(std::filesystem::file_size(folder.file("b.db")) == 0);
}

TEST_CASE("what cannot be backed up is refused with its reason", "[engine][sqlite]") {
  const SqliteFolder folder;
  SECTION("not a database") {
    std::ofstream(folder.file("a.db")) << std::string(8192, 'x');
    const auto error = error_of([&] { back_up(*folder.engine("a.db")); });
    CHECK(error.code() == ErrorCode::source_damaged);
    CHECK(error.hint().find("encrypted") != std::string::npos);
  }
  SECTION("a folder") {
    std::filesystem::create_directory(folder.file("a.db"));
    CHECK(error_of([&] { back_up(*folder.engine("a.db")); }).code() == ErrorCode::usage);
  }
  SECTION("a broken page, of a table or of an index") {
    for (const char* object : {"t", "i"}) {
      const std::string name = cat(object, ".db");
      std::int64_t page = 0;
      {
        Connection db = folder.create(name);
        db.execute("DROP TABLE IF EXISTS t; CREATE TABLE t(a); CREATE INDEX i ON t(a)");
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT "
            "INTO t SELECT hex(randomblob(20)) FROM n");
        page = std::stol(one(db, cat("SELECT max(pageno) FROM dbstat WHERE name='", object,
                                     "' AND pagetype='leaf'")));
      }
      std::fstream file(folder.file(name), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp((page - 1) * 4096);
      file << std::string(64, '\xfe');
      file.close();
      const auto error = error_of([&] { back_up(*folder.engine(name)); });
      CHECK(error.code() == ErrorCode::source_damaged);
      CHECK(error.message().find(name) != std::string::npos);
    }
  }
  SECTION("locked by another for longer than the busy timeout") {
    Connection db = folder.create("a.db");
    db.execute("CREATE TABLE t(a); BEGIN EXCLUSIVE");
    const auto error = error_of([&] {
      back_up(*folder.engine("a.db", {{{"busy_timeout", "200ms"}}, {}, {}}));
    });
    CHECK(error.code() == ErrorCode::unavailable);
  }
}

TEST_CASE("the journal of a crashed writer is played back first", "[engine][sqlite]") {
  const SqliteFolder folder;
  folder.create("a.db").execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  const pid_t child = ::fork();
  if (child == 0) {
    Connection db(folder.file("a.db"), OpenMode::read_write);
    db.execute("PRAGMA cache_size=1; BEGIN; UPDATE t SET a = 2");
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<9000) INSERT INTO t "
        "SELECT hex(randomblob(20)) FROM n");
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  REQUIRE(std::filesystem::exists(folder.file("a.db-journal")));
  const auto artifact = back_up(*folder.engine("a.db"));
  CHECK(artifact.summary.proof.at(0).hash.rows() == 1);
}

TEST_CASE("a backup taken while another process writes is one state", "[engine][sqlite]") {
  const SqliteFolder folder;
  for (const char* journal : {"delete", "wal"}) {
    const std::string name = cat(journal, ".db");
    {
      Connection db = folder.create(name);
      db.execute(cat("PRAGMA journal_mode=", journal,
                     "; CREATE TABLE account(id INTEGER PRIMARY KEY, money, pad)"));
      db.execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000) INSERT INTO "
          "account SELECT i, 100, hex(randomblob(50)) FROM n");
    }
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        Connection db(folder.file(name), OpenMode::read_write);
        db.set_busy_timeout(util::Milliseconds(10000));
        db.execute("PRAGMA synchronous=off");
        for (int i = 0;; ++i) {
          db.execute(cat(
              "BEGIN IMMEDIATE; UPDATE account SET money = money - 1 WHERE id = ", 1 + i % 20000,
              "; UPDATE account SET money = money + 1 WHERE id = ", 1 + i * 7919 % 20000,
              "; COMMIT"));
        }
      } catch (...) {
      }
      ::_exit(1);
    }
    for (int i = 0; i < 5; ++i) {
      const auto artifact = back_up(*folder.engine(name));
      const std::string copy = cat(journal, i, ".db");
      // The proof was computed by other connections than the copy: equal only if they saw the same
      // state.
      CHECK(restore(*folder.engine(copy), artifact).fingerprint == artifact.summary.proof);
      Connection restored(folder.file(copy), OpenMode::read_only);
      CHECK(one(restored, "SELECT sum(money) FROM account") == "2000000");
    }
    CHECK(::waitpid(child, nullptr, WNOHANG) == 0);  // it was writing all the time
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

TEST_CASE("a backup leaves its source as it was", "[engine][sqlite]") {
  const SqliteFolder folder;
  {
    Connection db = folder.create("a.db");
    db.execute("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  }
  const auto before = *util::read_file(folder.file("a.db"));
  const auto names = folder.names();
  back_up(*folder.engine("a.db"));
  CHECK(*util::read_file(folder.file("a.db")) == before);
  CHECK(folder.names() == names);
}

TEST_CASE("probe and inventory tell what is there", "[engine][sqlite]") {
  const SqliteFolder folder;
  folder.create("a.db").execute("CREATE TABLE t(a, b); CREATE VIRTUAL TABLE d USING fts5(x)");
  util::QuietTask quiet;
  const auto probe = folder.engine("a.db")->probe(quiet.task());
  CHECK(probe.ok());
  CHECK(probe.checks.size() == 4);
  engine::Scope scope;
  scope.include = {"t"};
  const auto tables = folder.engine("a.db")->inventory(scope, quiet.task());
  REQUIRE(tables.size() == 1);
  CHECK(tables[0].columns == std::vector<std::string>{"a", "b"});
}
