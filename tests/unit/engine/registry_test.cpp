#include <catch2/catch.hpp>

#include "engine/engine.hpp"
#include "support/sqlite_fixture.hpp"

using namespace dbbackup;
using test::error_of;
using util::ErrorCode;

TEST_CASE("database URLs are taken apart", "[engine]") {
  const auto address = engine::parse_url("sqlite:///srv/my%20files/a%25b.db?busy_timeout=5s");
  CHECK(address.engine == "sqlite");
  CHECK(address.database == "/srv/my files/a%b.db");
  CHECK(address.parameters == engine::Options{{"busy_timeout", "5s"}});
}

TEST_CASE("bad database URLs say what is wrong", "[engine]") {
  const auto code = [](const char* url) {
    return error_of([&] { engine::parse_url(url); }).code();
  };
  CHECK(code("/srv/a.db") == ErrorCode::usage);
  CHECK(code("sqlite://relative.db") == ErrorCode::usage);
  CHECK(code("sqlite:///folder/") == ErrorCode::usage);
  CHECK(code("sqlite:///a%0.db") == ErrorCode::usage);
  CHECK(code("sqlite:///a%00.db") == ErrorCode::usage);
  CHECK(code("sqlite:///a.db?colour=red") == ErrorCode::usage);
  CHECK(code("sqlite:///a.db?check=perhaps") == ErrorCode::usage);
  CHECK(code("oracle://host/db") == ErrorCode::unsupported);
  CHECK(code("postgresql://user:secret@host/db") == ErrorCode::usage);
  const auto error = error_of([] { engine::parse_url("postgresql://user:secret@host/db"); });
  CHECK(error.message().find("secret") == std::string::npos);
  CHECK(error_of([] { engine::parse_url("sqlit:///a.db"); }).hint().find("sqlite") !=
        std::string::npos);
}

TEST_CASE("options are checked with a suggestion", "[engine]") {
  engine::check_options("sqlite", {{"busy_timeout", "1m"}, {"check", "full"}});
  const auto error = error_of([] { engine::check_options("sqlite", {{"busy_timout", "1m"}}); });
  CHECK(error.code() == ErrorCode::usage);
  CHECK(error.hint().find("busy_timeout") != std::string::npos);
  CHECK(error_of([] { engine::check_options("nosuch", {}); }).code() == ErrorCode::unsupported);
}

TEST_CASE("restore modes have names", "[engine]") {
  for (const auto mode :
       {engine::RestoreMode::create, engine::RestoreMode::replace, engine::RestoreMode::append}) {
    CHECK(engine::restore_mode_from_name(engine::restore_mode_name(mode)) == mode);
  }
  CHECK_FALSE(engine::restore_mode_from_name("merge"));
}
