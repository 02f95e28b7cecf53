// An artifact into a database: collections with their options, documents, the oplog of the backup,
// indexes, and last what would get in the way of loading: validators and views.
//
// Threads: call from one thread; loaders inside are joined.
// Errors: refused for a target that is not empty, conflict for documents that are there already,
// verification_failed; those of Client and of the reader.
#pragma once

#include "engine/engine.hpp"
#include "engine/mongodb/client.hpp"
#include "engine/mongodb/collections.hpp"

namespace dbbackup::engine::mongodb {

struct TargetSettings {
  Endpoint endpoint;
  bool users = false;  // also restore users and roles
  bool scratch = false;
};

// The collections of an artifact that the scope chooses.
std::vector<Collection> stored_collections(repository::ArtifactReader& reader, const Scope& scope,
                                           util::Task& task);

RestorePlan plan_database_restore(const TargetSettings& target, repository::ArtifactReader& reader,
                                  const RestoreRequest& request, util::Task& task);
RestoreResult restore_database(const TargetSettings& target, repository::ArtifactReader& reader,
                               const RestoreRequest& request, util::Task& task);

}  // namespace dbbackup::engine::mongodb
