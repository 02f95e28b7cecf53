// An artifact into a PostgreSQL database: definitions by pg_restore in two halves, rows through
// COPY between them, by several connections.
//
// A whole artifact goes into a database that is new, empty, or new under a name of ours and put in
// the old one's place when all is done and proved: until then nothing of the target is touched.
// Chosen tables go into the database as it is, with what they depend on and it does not have.
//
// Errors: refused for a target that is not empty; conflict for rows that are there already;
// verification_failed for definitions that came out different; whatever pg_restore says, collected.
#pragma once

#include "engine/postgresql/login.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::postgresql {

RestoreResult restore_database(const Login& login, repository::ArtifactReader& reader,
                               const RestoreRequest& request, util::Task& task);
RestorePlan plan_database_restore(const Login& login, repository::ArtifactReader& reader,
                                  const RestoreRequest& request, util::Task& task);

}  // namespace dbbackup::engine::postgresql
