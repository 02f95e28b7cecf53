#include <catch2/catch.hpp>
#include <string>

#include "engine/sqlite/dialect.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::engine {

namespace {
using Type = Field::Type;

Field text(const std::string& value) { return {Type::text, value}; }

std::string sql(const Field& field) {
  std::string out;
  sqlite_engine::SqliteDialect().value(field, out);
  return out;
}
}  // namespace

TEST_CASE("sqlite: SQL literals give SQLite the value they came from", "[engine][sqlite]") {
  sqlite::Connection memory(":memory:", sqlite::OpenMode::create);
  const auto evaluated = [&](const Field& field, const char* expected_type) {
    auto statement = memory.prepare("SELECT " + sql(field) + ", typeof(" + sql(field) + ")");
    REQUIRE(statement.step());
    CHECK(statement.string(1) == expected_type);
    const util::ByteView bytes = statement.blob(0);
    return std::string(util::as_text(bytes));
  };
  const std::string with_nul("before\0after", 12);
  CHECK(evaluated({Type::integer, "-9223372036854775808"}, "integer") == "-9223372036854775808");
  CHECK(evaluated({Type::integer, "9223372036854775807"}, "integer") == "9223372036854775807");
  CHECK(evaluated({Type::real, "1.0"}, "real") == "1.0");
  CHECK(evaluated({Type::real, "inf"}, "real") == "Inf");
  CHECK(evaluated({Type::real, "-inf"}, "real") == "-Inf");
  CHECK(evaluated(text("it's; -- \"text\"\n"), "text") == "it's; -- \"text\"\n");
  CHECK(evaluated(text(""), "text").empty());
  CHECK(evaluated(text(with_nul), "text") == with_nul);
  CHECK(evaluated({Type::blob, std::string("\x00'\xff", 3)}, "blob") ==
        std::string("\x00'\xff", 3));
  CHECK(evaluated({Type::blob, ""}, "blob").empty());
  CHECK(evaluated({Type::null, ""}, "null").empty());
}

}  // namespace dbbackup::engine
