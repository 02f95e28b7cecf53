// Comparing what was restored with what was sealed.
#include "job/proof.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "job/restore.hpp"
#include "util/bytes.hpp"
#include "util/error.hpp"

namespace dbbackup::job {
namespace {

using Proof = std::vector<repository::TableProof>;

repository::TableProof table(const std::string& name, const std::vector<std::string>& rows) {
  repository::TableProof proof;
  proof.name = name;
  for (const std::string& row : rows) proof.hash.add(util::as_bytes(row));
  return proof;
}

std::string told(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& difference : differences) {
    text += difference.table + " " + difference.what.substr(0, difference.what.find(" (")) + "; ";
  }
  return text;
}

}  // namespace

TEST_CASE("job: proofs are compared table by table", "[job]") {
  const Proof sealed{table("a", {"1", "2"}), table("b", {"x"}), table("empty", {})};
  struct Case {
    const char* name;
    Proof actual;
    std::string all;       // differences
    std::string expected;  // differences when only the sealed tables count
  };
  const std::vector<Case> cases{
      {"equal", sealed, "", ""},
      {"rows in another order",
       {table("empty", {}), table("b", {"x"}), table("a", {"2", "1"})},
       "",
       ""},
      {"a table is missing",
       {table("a", {"1", "2"}), table("empty", {})},
       "b is missing; ",
       "b is missing; "},
      {"a row is missing",
       {table("a", {"1"}), table("b", {"x"}), table("empty", {})},
       "a has 1 rows instead of 2; ",
       "a has 1 rows instead of 2; "},
      {"a row is doubled and another lost",
       {table("a", {"1", "1"}), table("b", {"x"}), table("empty", {})},
       "a has other content; ",
       "a has other content; "},
      {"a value is changed",
       {table("a", {"1", "2"}), table("b", {"X"}), table("empty", {})},
       "b has other content; ",
       "b has other content; "},
      {"an empty table has got a row",
       {table("a", {"1", "2"}), table("b", {"x"}), table("empty", {""})},
       "empty has 1 rows instead of 0; ",
       "empty has 1 rows instead of 0; "},
      {"a table too many",
       {table("a", {"1", "2"}), table("b", {"x"}), table("empty", {}), table("new", {})},
       "new is there but was not backed up; ",
       ""},
      {"nothing is there",
       {},
       "a is missing; b is missing; empty is missing; ",
       "a is missing; b is missing; empty is missing; "},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    CHECK(told(compare_proof(sealed, one.actual)) == one.all);
    CHECK(told(compare_proof(sealed, one.actual, true)) == one.expected);
  }
  CHECK(compare_proof({}, {}).empty());
}

TEST_CASE("job: a difference is an error that names the tables", "[job]") {
  CHECK_NOTHROW(require_equal({}, "database shop"));
  std::vector<Difference> differences;
  for (int i = 1; i <= 7; ++i) differences.push_back({"t" + std::to_string(i), "is missing"});
  differences[0].table = "two\nlines";
  try {
    require_equal(differences, "database shop");
    FAIL("no error was thrown");
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::verification_failed);
    CHECK(error.message().starts_with("database shop differs from the sealed proof: table two"));
    CHECK(error.message().find('\n') == std::string::npos);
    CHECK(error.message().find("t5") != std::string::npos);
    CHECK(error.message().ends_with("; and 2 more"));
    CHECK_FALSE(error.hint().empty());
  }
}

TEST_CASE("job: a restore of chosen tables is compared with their part of the proof", "[job]") {
  const Proof sealed{table("a", {"1"}), table("b", {"2"})};
  CHECK(proof_of_tables(sealed, {"b"}) == Proof{table("b", {"2"})});
  CHECK(proof_of_tables(sealed, {"b", "never backed up"}) == Proof{table("b", {"2"})});
}

}  // namespace dbbackup::job
