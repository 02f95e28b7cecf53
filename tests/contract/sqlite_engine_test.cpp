#include <catch2/catch.hpp>
#include <filesystem>

#include "contract/engine_contract.hpp"
#include "sqlite/sqlite.hpp"
#include "util/file.hpp"

using namespace dbbackup;

namespace {
class SqliteFixture final : public test::EngineFixture {
 public:
  std::unique_ptr<engine::Engine> empty_database(const std::string& name) override {
    sqlite::Connection(path(name), sqlite::OpenMode::create).execute("PRAGMA user_version=0");
    return new_target(name);
  }
  std::unique_ptr<engine::Engine> new_target(const std::string& name) override {
    return engine::make_engine(engine::parse_url("sqlite://" + path(name)), {});
  }
  std::unique_ptr<engine::Engine> missing_database() override { return new_target("missing"); }
  void execute(const std::string& name, const std::string& sql) override {
    sqlite::Connection connection(path(name), sqlite::OpenMode::read_write);
    connection.execute("PRAGMA synchronous=off");
    connection.execute(sql);
  }
  std::string quote(const std::string& identifier) override {
    return sqlite::quote_identifier(identifier);
  }

 private:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  const util::TemporaryFolder folder_{std::filesystem::temp_directory_path(), "engine"};
};
}  // namespace

TEST_CASE("the SQLite engine keeps the engine contract", "[engine][sqlite]") {
  SqliteFixture fixture;
  test::check_engine_contract(fixture);
}
