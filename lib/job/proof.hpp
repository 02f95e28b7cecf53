// Compares what a database holds after a restore with what was sealed at backup.
#pragma once

#include <string>
#include <vector>

#include "repository/stream.hpp"

namespace dbbackup::job {

struct Difference {
  std::string table;
  std::string what;  // "is missing", "has 9 rows instead of 10", "has other content"
};

// Tables of `actual` that `expected` does not know are differences too, unless `only_expected` is
// set (restores of chosen tables and appends into a database that held others).
std::vector<Difference> compare_proof(const std::vector<repository::TableProof>& expected,
                                      const std::vector<repository::TableProof>& actual,
                                      bool only_expected = false);

// Errors: verification_failed, naming the first tables, when there are differences.
void require_equal(const std::vector<Difference>& differences, const std::string& what);

}  // namespace dbbackup::job
