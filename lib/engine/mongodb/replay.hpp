// The oplog of a backup, replayed over the documents that it read meanwhile.
//
// Entries are taken in their order and folded in memory to what each document finally became, a few
// thousand at a time; then only final states are written. Replaying twice gives the same result,
// and so does replaying over documents that were read late and have the change already.
//
// Threads: one. Errors: those of Client; unsupported for entries that cannot be followed.
#pragma once

#include <functional>
#include <string>

#include "engine/mongodb/client.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mongodb {

struct ReplayTarget {
  std::string source_database;                                // as the entries name it
  std::function<bool(const std::string& collection)> wanted;  // of storage names
};

// Returns how many changes were applied.
std::uint64_t replay_oplog(Client& client, repository::ArtifactReader& reader,
                           const ReplayTarget& target, util::Task& task);

}  // namespace dbbackup::engine::mongodb
