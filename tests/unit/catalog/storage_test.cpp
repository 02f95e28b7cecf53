// The file itself: migrations, refusals, secrets at rest, copies, many threads.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "catalog/migrations.hpp"
#include "unit/catalog/catalog_fixture.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::catalog;
using namespace dbbackup::test;
using Catch::Contains;
using sqlite::Connection;
using sqlite::OpenMode;
using util::ErrorCode;
namespace fs = std::filesystem;

namespace {
std::string content_of(const fs::path& file) {
  const auto bytes = util::read_file(file);
  return bytes ? std::string(util::as_text(*bytes)) : std::string();
}

void write_content(const fs::path& file, std::string_view text) {
  util::write_file_atomically(file, util::as_bytes(text));
}

unsigned mode_of(const fs::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

std::int64_t number(Connection& db, std::string_view sql) {
  auto statement = db.prepare(sql);
  REQUIRE(statement.step());
  return statement.integer(0);
}

struct EmptyFolder {
  util::TemporaryFolder folder{quick_folder(), "catalog-file-test"};
  fs::path file = folder.path() / "control.db";
  ManualClock clock{time_of("2026-11-20T12:00:00Z")};
  crypto::Secret key = crypto::random_key();

  util::Error open_error() {
    return error_of([&] { Catalog catalog(file, key, clock); });
  }
};

constexpr std::array kChain{
    Migration{1, "CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT; INSERT INTO a VALUES (1), (2);"},
    Migration{2, "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'new';"},
    Migration{3, "CREATE TABLE b (x INTEGER REFERENCES a) STRICT; INSERT INTO b VALUES (1);"},
};
constexpr std::span<const Migration> kAll(kChain);

void migrate_to(const fs::path& file, std::size_t version) {
  Connection db(file.string(), OpenMode::create);
  apply(db, file, kAll.first(version));
}
}  // namespace

TEST_CASE_METHOD(EmptyFolder, "a new file goes through all migrations without a copy",
                 "[catalog]") {
  migrate_to(file, 2);
  Connection db(file.string(), OpenMode::read_write);
  CHECK(number(db, "PRAGMA user_version") == 2);
  CHECK(number(db, "PRAGMA application_id") == kApplicationId);
  CHECK(number(db, "SELECT count(*) FROM a WHERE y = 'new'") == 2);
  CHECK_FALSE(fs::exists(file.string() + ".before-v2"));
}

TEST_CASE_METHOD(EmptyFolder, "an older file is copied and migrated", "[catalog]") {
  const fs::path copy = file.string() + ".before-v3";
  migrate_to(file, 1);
  write_content(copy, "left over from an attempt that was cut short");
  write_content(copy.string() + ".part", "and its half copy");
  const ::mode_t old_mask = ::umask(0);
  migrate_to(file, 3);
  ::umask(old_mask);

  Connection db(file.string(), OpenMode::read_only);
  CHECK(number(db, "PRAGMA user_version") == 3);
  CHECK(number(db, "SELECT count(*) FROM b") == 1);
  CHECK(mode_of(copy) == 0600);
  CHECK_FALSE(fs::exists(copy.string() + ".part"));
  Connection old(copy.string(), OpenMode::read_only);
  CHECK(number(old, "PRAGMA user_version") == 1);
  CHECK(number(old, "PRAGMA application_id") == kApplicationId);
  CHECK(number(old, "SELECT count(*) FROM a") == 2);
}

TEST_CASE_METHOD(EmptyFolder, "a file that is up to date is left alone", "[catalog]") {
  migrate_to(file, 3);
  const std::string before = content_of(file);
  migrate_to(file, 3);
  CHECK(content_of(file) == before);
}

TEST_CASE_METHOD(EmptyFolder, "a migration that fails changes nothing", "[catalog]") {
  migrate_to(file, 1);
  Connection db(file.string(), OpenMode::read_write);
  SECTION("by a wrong statement") {
    const std::array broken{kChain[0], Migration{2, "CREATE TABLE c (x) ; SELECT nonsense;"}};
    const util::Error error = error_of([&] { apply(db, file, broken); });
    CHECK_THAT(error.message(), Contains("stays at schema version 1") && Contains(file.string()));
  }
  SECTION("by a reference to nothing") {
    const std::array dangling{
        kChain[0], Migration{2, "CREATE TABLE c (x REFERENCES a); INSERT INTO c VALUES (99);"}};
    const util::Error error = error_of([&] { apply(db, file, dangling); });
    CHECK_THAT(error.message(), Contains("table c would refer to a missing row of table a"));
  }
  CHECK(number(db, "PRAGMA user_version") == 1);
  CHECK(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'") == 0);
}

TEST_CASE_METHOD(EmptyFolder, "a newer schema is refused and stays as it is", "[catalog]") {
  { Catalog catalog(file, key, clock); }
  {
    Connection db(file.string(), OpenMode::read_write);
    db.execute("PRAGMA user_version=99");
  }
  const util::Error error = open_error();
  CHECK(error.code() == ErrorCode::config_invalid);
  CHECK(util::traits(error.code()).exit_status == 78);
  CHECK_THAT(error.message(), Contains(file.string()) && Contains("schema version 99"));
  CHECK_THAT(error.hint(), Contains("newer dbbackup"));
  Connection db(file.string(), OpenMode::read_only);
  CHECK(number(db, "PRAGMA user_version") == 99);
}

TEST_CASE_METHOD(EmptyFolder, "a SQLite file of another program is refused and stays as it is",
                 "[catalog]") {
  {
    Connection db(file.string(), OpenMode::create);
    db.execute("CREATE TABLE theirs (x); PRAGMA user_version=1");
  }
  const std::string before = content_of(file);
  const util::Error error = open_error();
  CHECK(error.code() == ErrorCode::config_invalid);
  CHECK_THAT(error.message(), Contains("of another program"));
  CHECK(content_of(file) == before);
}

TEST_CASE_METHOD(EmptyFolder, "a damaged control database is named at start", "[catalog]") {
  SECTION("not a database at all") { write_content(file, std::string(8192, 'x')); }
  SECTION("a page overwritten") {
    { Catalog catalog(file, key, clock); }
    std::string bytes = content_of(file);
    bytes.replace(2 * 4096, 4096, std::string(4096, '\x5a'));
    write_content(file, bytes);
  }
  SECTION("cut off") {
    { Catalog catalog(file, key, clock); }
    const std::string bytes = content_of(file);
    write_content(file, std::string_view(bytes).substr(0, bytes.size() / 2));
  }
  const util::Error error = open_error();
  CHECK(error.code() == ErrorCode::config_invalid);
  CHECK_THAT(error.message(),
             Contains("the control database is damaged") && Contains(file.string()));
  CHECK_THAT(error.hint(), Contains("rescan"));
}

TEST_CASE_METHOD(EmptyFolder, "a missing folder is named", "[catalog]") {
  file = folder.path() / "missing" / "control.db";
  CHECK_THAT(open_error().message(), Contains(file.string()));
}

TEST_CASE_METHOD(EmptyFolder, "another daemon key is refused at start", "[catalog]") {
  { Catalog catalog(file, key, clock); }
  const crypto::Secret right = key;
  key = crypto::random_key();
  const util::Error error = open_error();
  CHECK(error.code() == ErrorCode::config_invalid);
  CHECK_THAT(error.message(), Contains("key file") && Contains(file.string()));
  CHECK_THAT(error.hint(), Contains("put the old key file back"));
  key = right;
  CHECK_NOTHROW(Catalog(file, key, clock));
}

TEST_CASE_METHOD(CatalogFixture, "the files are private whatever the umask", "[catalog]") {
  const ::mode_t old_mask = ::umask(0);
  const fs::path other = folder.path() / "other.db";
  { util::write_file_atomically(other, {}); }
  fs::permissions(other, fs::perms(0644));
  Catalog opened(other, key, clock);
  opened.set_setting("a", "b");
  catalog.set_setting("a", "b");
  ::umask(old_mask);
  for (const fs::path& base : {file, other}) {
    CHECK(mode_of(base) == 0600);
    CHECK(mode_of(base.string() + "-wal") == 0600);
    CHECK(mode_of(base.string() + "-shm") == 0600);
  }
}

TEST_CASE_METHOD(CatalogFixture, "secrets are nowhere in the files", "[catalog]") {
  add_database("shop", "Extremely-Secret-Password");
  add_repository("cloud", {{"secret_key", "Hidden-Cloud-Key"}});
  catalog.copy_to(folder.path() / "copy.db");
  for (const fs::path& path : {file, fs::path(file.string() + "-wal"), folder.path() / "copy.db"}) {
    const std::string bytes = content_of(path);
    REQUIRE_FALSE(bytes.empty());
    CHECK(bytes.find("Extremely-Secret-Password") == std::string::npos);
    CHECK(bytes.find("Hidden-Cloud-Key") == std::string::npos);
    CHECK(bytes.find("secret_key") == std::string::npos);
  }
  CHECK(content_of(file.string() + "-wal").find("sqlite:///data/shop.db") != std::string::npos);
}

TEST_CASE_METHOD(CatalogFixture, "a secret cannot be moved to another row or changed",
                 "[catalog]") {
  add_database("shop", "one");
  add_database("crm", "two");
  add_repository("cloud", {{"secret_key", "x"}});
  add_repository("other", {{"secret_key", "y"}});
  {
    Connection db(file.string(), OpenMode::read_write);
    db.execute(
        "UPDATE databases SET password = (SELECT password FROM databases WHERE name = 'shop')"
        " WHERE name = 'crm';"
        "UPDATE repositories SET secret_options ="
        " (SELECT password FROM databases WHERE name = 'shop') WHERE name = 'other';"
        "UPDATE repositories SET secret_options = x'00' WHERE name = 'cloud'");
  }
  const util::Error moved = error_of([&] { catalog.password("crm"); });
  CHECK(moved.code() == ErrorCode::verification_failed);
  CHECK_THAT(moved.message(), Contains("database crm"));
  CHECK_THAT(moved.hint(), Contains("set-password crm"));
  CHECK(error_of([&] { catalog.secret_options("other"); }).code() ==
        ErrorCode::verification_failed);
  CHECK(error_of([&] { catalog.secret_options("cloud"); }).code() ==
        ErrorCode::verification_failed);
  CHECK(catalog.password("shop").reveal_text() == "one");
}

TEST_CASE_METHOD(CatalogFixture, "everything is there after closing and opening", "[catalog]") {
  const fs::path other = folder.path() / "again.db";
  {
    Catalog first(other, key, clock);
    first.set_setting("k", "v");
    Database database;
    database.name = "shop";
    first.add_database(database, crypto::Secret::from_text("pw"));
  }
  Catalog second(other, key, clock);
  CHECK(second.setting("k") == "v");
  CHECK(second.password("shop").reveal_text() == "pw");
}

TEST_CASE_METHOD(CatalogFixture, "a copy opens as a catalog of its own", "[catalog]") {
  add_job("nightly");
  const fs::path target = folder.path() / "it's a copy.db";
  write_content(target, "something older");
  catalog.copy_to(target);
  CHECK(mode_of(target) == 0600);
  catalog.remove_job("nightly");
  Catalog copy(target, key, clock);
  CHECK(copy.job("nightly").database == "shop");

  CHECK_THAT(error_of([&] { catalog.copy_to(folder.path() / "missing" / "x.db"); }).message(),
             Contains("missing"));
}

TEST_CASE_METHOD(CatalogFixture, "a row that another program wrote is refused", "[catalog]") {
  const Run run = add_run("", RunState::queued);
  const auto corrupt = [&](const std::string& assignment) {
    Connection db(file.string(), OpenMode::read_write);
    db.execute("UPDATE runs SET " + assignment);
    return error_of([&] { catalog.run(run.id); });
  };
  CHECK_THAT(corrupt("warnings = '{}'").message(), Contains("unknown list"));
  CHECK_THAT(corrupt("warnings = '[1]'").message(), Contains("unknown list"));
  CHECK_THAT(corrupt("state = 'paused'").message(), Contains("unknown state of a run \"paused\""));
  CHECK_THAT(corrupt("kind = 'x'").message(), Contains("unknown kind of run"));
}

TEST_CASE_METHOD(CatalogFixture, "many threads write and read at once", "[catalog]") {
  add_job("nightly");
  constexpr int kThreads = 4;
  constexpr int kRuns = 15;
  std::vector<std::string> failures(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      try {
        for (int i = 0; i < kRuns; ++i) {
          Run run = add_run("nightly", RunState::running);
          catalog.append_log(run.id, {clock.now(), util::Severity::info, "a"});
          catalog.append_log(run.id, {clock.now(), util::Severity::info, "b"});
          run.state = RunState::succeeded;
          catalog.update_run(run);
          if (!catalog.find_run(run.id) || catalog.log(run.id).size() != 2) {
            throw util::Error(ErrorCode::internal, "own writes are not seen");
          }
          add_event("run");
          catalog.job_summaries();
          catalog.runs({.limit = 5});
          if (i == 5) catalog.copy_to(folder.path() / util::cat("copy-", t));
        }
      } catch (...) {
        failures[static_cast<std::size_t>(t)] = util::current_error().message();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::vector<std::string>(kThreads));
  CHECK(catalog.runs({}).size() == kThreads * kRuns);
  CHECK(catalog.events({}, {}).size() == kThreads * kRuns);
  CHECK(catalog.running_and_queued() == std::pair<std::uint64_t, std::uint64_t>(0, 0));
}

// The child of the test below; hidden, because it is meant to die.
TEST_CASE("migrate in a process that is killed", "[.catalog-kill-child]") {
  const char* file = std::getenv("DBBACKUP_TEST_CATALOG");
  REQUIRE(file != nullptr);
  migrate_to(file, 3);
}

TEST_CASE_METHOD(EmptyFolder, "a migration killed at any point leaves the old schema or the new",
                 "[catalog]") {
  const auto [point, version] = GENERATE(std::pair<const char*, int>("migration.after_copy", 1),
                                         std::pair<const char*, int>("migration.in_transaction", 1),
                                         std::pair<const char*, int>("migration.after_commit", 3));
  migrate_to(file, 1);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // A fresh image of this program: the kill points read their environment only once.
    ::setenv("DBBACKUP_KILL_AT", point, 1);
    ::setenv("DBBACKUP_TEST_CATALOG", file.c_str(), 1);
    ::execl("/proc/self/exe", "unit_tests", "[.catalog-kill-child]", "-o", "/dev/null",
            static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  {
    Connection db(file.string(), OpenMode::read_write);
    CHECK(number(db, "PRAGMA user_version") == version);
    CHECK(number(db, "SELECT count(*) FROM a") == 2);
  }
  migrate_to(file, 3);
  Connection db(file.string(), OpenMode::read_only);
  CHECK(number(db, "SELECT count(*) FROM b") == 1);
  Connection copy(file.string() + ".before-v3", OpenMode::read_only);
  CHECK(number(copy, "PRAGMA user_version") == 1);
}
