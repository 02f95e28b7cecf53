// What the restore verb shares with the drill, the export and the plan.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "catalog/types.hpp"
#include "engine/engine.hpp"
#include "job/request.hpp"
#include "job/services.hpp"
#include "repository/repository.hpp"

namespace dbbackup::job {

// An opened artifact, from a repository or from an archive file.
struct Source {
  std::optional<catalog::Artifact> artifact;  // empty for a file
  std::shared_ptr<repository::Repository> repository;
  std::unique_ptr<repository::ArtifactReader> reader;
};
// Takes request.file when it is set, else the artifact.
Source open_source(Services& services, const std::string& artifact_id, const Request& request,
                   const std::stop_token& stop = {});

engine::RestoreRequest restore_request(const Request& request);

// The guards of interface.md "Restore guards" that need only the catalog. Errors: refused, with the
// way out as hint.
void require_restore_allowed(const catalog::Database& database, util::TimePoint now);
void require_same_engine(const repository::ArtifactReader& reader, const catalog::Database& target);

// The part of a proof that speaks of these tables.
std::vector<repository::TableProof> proof_of_tables(
    const std::vector<repository::TableProof>& proof, const std::vector<std::string>& tables);

}  // namespace dbbackup::job
