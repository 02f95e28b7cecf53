#include <catch2/catch.hpp>
#include <charconv>
#include <cmath>
#include <random>

#include "engine/sqlite/row_line.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
std::string encoded(sqlite::Statement& statement, double value) {
  statement.reset();
  statement.bind(1, value);
  REQUIRE(statement.step());
  std::string line;
  encode_row(statement, 1, line);
  return line;
}

// The shortest text that reads back as the same number, with ".0" where it would look like an
// integer.
std::string shortest(double value) {
  char text[64];
  std::string result(text, std::to_chars(text, text + sizeof text, value).ptr);
  if (result.find_first_of(".en") == std::string::npos) result += ".0";
  return result;
}
}  // namespace

TEST_CASE("reals are written as the shortest text that reads back as the same number",
          "[engine][sqlite]") {
  sqlite::Connection memory(":memory:", sqlite::OpenMode::create);
  auto statement = memory.prepare("SELECT ?1");
  std::mt19937_64 random(11);
  std::vector<double> values{0.0,
                             0.01,
                             0.05,
                             0.1,
                             -0.1,
                             1.0,
                             99.99,
                             100.5,
                             1e12,
                             1e12 - 1,
                             1e12 - 0.01,
                             123456789012.34,
                             1e11,
                             1e15,
                             1e300,
                             1e-300,
                             0.30000000000000004,
                             0.015,
                             -1234.5,
                             5e-324,
                             2.675,
                             1.005,
                             999999999999.99};
  for (int i = 0; i < 200000; ++i) {
    const auto cents = static_cast<double>(static_cast<std::int64_t>(random() % 2000000000000000) -
                                           1000000000000000);
    values.push_back(cents / std::pow(10, i % 16) / 100);
    values.push_back(std::nextafter(values.back(), i % 2 == 0 ? 1e30 : -1e30));
  }
  std::size_t different = 0;
  for (const double value : values) different += encoded(statement, value) != shortest(value);
  CHECK(different == 0);
}

}  // namespace dbbackup::engine::sqlite_engine
