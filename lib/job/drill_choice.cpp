#include "job/drill_choice.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace dbbackup::job {

using catalog::Artifact;
using catalog::ArtifactState;

namespace {
// When the database was last proved by any of its artifacts; the beginning of time when never.
util::TimePoint last_proof(const std::vector<Artifact>& artifacts, const std::string& database) {
  util::TimePoint newest{};
  for (const Artifact& artifact : artifacts) {
    if (artifact.database == database && artifact.proved_at) {
      newest = std::max(newest, *artifact.proved_at);
    }
  }
  return newest;
}
}  // namespace

std::optional<Artifact> choose_drill(catalog::Catalog& catalog, const std::string& job) {
  std::vector<Artifact> artifacts = catalog.artifacts({.job = job});  // newest first
  std::erase_if(artifacts,
                [](const Artifact& artifact) { return artifact.state == ArtifactState::damaged; });
  if (artifacts.empty()) return std::nullopt;
  const auto proved = [](const Artifact& artifact) {
    return artifact.state == ArtifactState::proved;
  };

  std::map<std::string, const Artifact*> newest;
  for (const Artifact& artifact : artifacts) newest.emplace(artifact.database, &artifact);
  const Artifact* chosen = nullptr;
  for (const auto& [database, artifact] : newest) {
    if (proved(*artifact)) continue;
    if (chosen == nullptr ||
        last_proof(artifacts, database) < last_proof(artifacts, chosen->database)) {
      chosen = artifact;
    }
  }
  if (chosen != nullptr) return *chosen;

  const auto unproved = std::find_if_not(artifacts.begin(), artifacts.end(), proved);
  if (unproved != artifacts.end()) return *unproved;
  return *std::min_element(
      artifacts.begin(), artifacts.end(),
      [](const Artifact& a, const Artifact& b) { return a.proved_at < b.proved_at; });
}

}  // namespace dbbackup::job
