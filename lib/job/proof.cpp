#include "job/proof.hpp"

#include <map>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

std::vector<Difference> compare_proof(const std::vector<repository::TableProof>& expected,
                                      const std::vector<repository::TableProof>& actual,
                                      bool only_expected) {
  std::map<std::string, const repository::TableProof*> found;
  for (const repository::TableProof& proof : actual) found[proof.name] = &proof;
  std::vector<Difference> differences;
  for (const repository::TableProof& proof : expected) {
    const auto it = found.find(proof.name);
    if (it == found.end()) {
      differences.push_back({proof.name, "is missing"});
      continue;
    }
    const repository::RowHash& hash = it->second->hash;
    if (hash.rows() != proof.hash.rows()) {
      differences.push_back(
          {proof.name, util::cat("has ", hash.rows(), " rows instead of ", proof.hash.rows())});
    } else if (!(hash == proof.hash)) {
      differences.push_back({proof.name, util::cat("has other content (hash ", hash.hex(),
                                                   " instead of ", proof.hash.hex(), ")")});
    }
    found.erase(it);
  }
  if (!only_expected) {
    for (const auto& [name, proof] : found) {
      differences.push_back({name, "is there but was not backed up"});
    }
  }
  return differences;
}

void require_equal(const std::vector<Difference>& differences, const std::string& what) {
  if (differences.empty()) return;
  constexpr std::size_t kShown = 5;
  std::string message = what + " differs from the sealed proof: ";
  for (std::size_t i = 0; i < differences.size() && i < kShown; ++i) {
    if (i > 0) message += "; ";
    message += util::cat("table ", util::printable(differences[i].table), " ", differences[i].what);
  }
  if (differences.size() > kShown) {
    message += util::cat("; and ", differences.size() - kShown, " more");
  }
  throw util::Error(util::ErrorCode::verification_failed, message,
                    "run 'dbbackupctl artifact verify' on the artifact, and back up again");
}

}  // namespace dbbackup::job
