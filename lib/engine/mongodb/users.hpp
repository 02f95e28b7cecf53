// Users and roles of a restored database.
//
// Their documents go back through the command that mongorestore uses, which merges prepared
// collections into the server's own: passwords stay what they were without ever being known.
//
// Threads: one. Errors: those of Client.
// Source: _mergeAuthzCollections in src/mongo/db/commands/user_management_commands.idl.
#pragma once

#include "engine/mongodb/client.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mongodb {

struct UsersOutcome {
  std::uint64_t users = 0;
  std::uint64_t roles = 0;
  bool restored = false;
};

UsersOutcome count_users(repository::ArtifactReader& reader, util::Task& task);
// Existing users and roles of the same names are replaced; others stay.
UsersOutcome merge_users(Client& client, repository::ArtifactReader& reader, util::Task& task);

}  // namespace dbbackup::engine::mongodb
