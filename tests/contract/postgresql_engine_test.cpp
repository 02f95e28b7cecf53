// Needs a server: tests/integration/postgresql_contract_test.py starts one and runs this, which is
// hidden from plain runs.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "contract/engine_contract.hpp"
#include "engine/postgresql/connection.hpp"
#include "engine/postgresql/login.hpp"
#include "util/text.hpp"

using namespace dbbackup;

namespace {
std::string setting(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE(value != nullptr);
  return value;
}

class PostgresqlFixture final : public test::EngineFixture {
 public:
  ~PostgresqlFixture() override {
    for (const std::string& name : made_) {
      run("postgres", util::cat("DROP DATABASE IF EXISTS ", name, " WITH (FORCE)"));
    }
  }
  std::unique_ptr<engine::Engine> empty_database(const std::string& name) override {
    run("postgres", util::cat("CREATE DATABASE ", full_name(name)));
    return new_target(name);
  }
  std::unique_ptr<engine::Engine> new_target(const std::string& name) override {
    made_.insert(full_name(name));
    return engine::make_engine(address(full_name(name)), settings());
  }
  std::unique_ptr<engine::Engine> missing_database() override { return new_target("missing"); }
  void execute(const std::string& name, const std::string& sql) override {
    run(full_name(name), sql);
  }
  std::string quote(const std::string& identifier) override {
    return engine::postgresql::quote_name(identifier);
  }

 private:
  static std::string full_name(const std::string& name) { return "contract_" + name; }
  engine::Address address(const std::string& database) const {
    return engine::parse_url(url_ + database);
  }
  engine::Settings settings() const {
    engine::Settings settings;
    settings.password = [password = password_] { return password; };
    return settings;
  }
  void run(const std::string& database, const std::string& sql) const {
    const auto login = engine::postgresql::make_login(address(database), settings());
    engine::postgresql::Connection(login.parameters(database), {}).execute(sql);
  }
  const std::string url_ = setting("DBBACKUP_TEST_POSTGRESQL_URL");
  const std::string password_ = setting("DBBACKUP_TEST_POSTGRESQL_PASSWORD");
  std::set<std::string> made_;
};
}  // namespace

TEST_CASE("the PostgreSQL engine keeps the engine contract", "[.postgresql]") {
  PostgresqlFixture fixture;
  test::check_engine_contract(fixture);
}
