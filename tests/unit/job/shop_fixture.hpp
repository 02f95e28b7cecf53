// Verbs on a small real database: SQLite in, repository in a folder, SQLite out.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "job/verbs.hpp"
#include "sqlite/sqlite.hpp"
#include "unit/job/job_fixture.hpp"

namespace dbbackup::test {

namespace fs = std::filesystem;
using catalog::ArtifactState;
using catalog::RunKind;
using catalog::RunState;
using job::Request;
using job::Run;
using job::Runner;

struct ShopFixture : JobFixture {
  fs::path source = folder.path() / "shop.db";
  fs::path store = folder.path() / "repository";
  Runner runner{services, pool.post(), 4};

  ShopFixture() {
    sqlite::Connection shop(source.string(), sqlite::OpenMode::create);
    shop.execute(
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT); CREATE TABLE empty(x);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
        "INSERT INTO orders SELECT i, 'note ' || i FROM n;");
    add_file_database("shop", source);
    add_file_database("shop2", folder.path() / "shop2.db");
    add_file_repository("main", store);
    add_job("nightly");
  }

  void add_file_database(const std::string& name, const fs::path& path) {
    catalog::Database database;
    database.name = name;
    database.engine = "sqlite";
    database.url = "sqlite://" + path.string();
    database.created = clock.now();
    catalog.add_database(database, {});
  }

  void add_file_repository(const std::string& name, const fs::path& path) {
    catalog::Repository record;
    record.name = name;
    record.url = "file://" + path.string();
    record.created = clock.now();
    CHECK(repositories.add(record, {}, {}).value().starts_with("dbk1-"));
  }

  Run perform_run(Run run, const Request& request = {}) {
    run = runner.submit(std::move(run), request);
    pool.run_all();
    clock.advance(util::Seconds(1));
    return catalog.run(run.id);
  }

  Run back_up() { return perform_run(run_of("nightly")); }

  Run on_artifact(RunKind kind, const std::string& artifact, const Request& request = {}) {
    Run run;
    run.kind = kind;
    run.artifact = artifact;
    run.repository = "main";
    return perform_run(run, request);
  }

  Run on_repository(RunKind kind, const Request& request = {}) {
    return on_artifact(kind, "", request);
  }

  void allow_restore(const std::string& name) {
    catalog::Database database = catalog.database(name);
    database.restore_allowed_until = clock.now() + std::chrono::minutes(10);
    catalog.update_database(database);
  }

  std::int64_t rows_of(const fs::path& database) {
    sqlite::Connection connection(database.string(), sqlite::OpenMode::read_only);
    auto statement = connection.prepare("SELECT count(*) FROM orders");
    REQUIRE(statement.step());
    return statement.integer(0);
  }

  ArtifactState state_of_artifact(const std::string& id) { return catalog.artifact(id).state; }

  void change_shop(const std::string& sql) {
    sqlite::Connection(source.string(), sqlite::OpenMode::read_write).execute(sql);
  }

  // Changes one byte in the middle of every pack.
  void damage_packs() {
    int damaged = 0;
    for (const auto& entry : fs::recursive_directory_iterator(store)) {
      if (!entry.is_regular_file()) continue;
      if (entry.path().string().find("/pack") == std::string::npos) continue;
      std::fstream pack(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const auto middle = static_cast<std::streamoff>(entry.file_size() / 2);
      pack.seekg(middle);
      const char byte = static_cast<char>(pack.get());
      pack.seekp(middle);
      pack.put(static_cast<char>(byte ^ 1));
      ++damaged;
    }
    REQUIRE(damaged > 0);
  }
};

inline void require_succeeded(const Run& run) {
  if (run.error) UNSCOPED_INFO(run.error->code << ": " << run.error->message);
  REQUIRE(run.state == RunState::succeeded);
}

}  // namespace dbbackup::test
