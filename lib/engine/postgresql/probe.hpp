// `database test` for PostgreSQL: can we get in, are the programs there that fit the server, and
// what would a backup or a restore with this login miss.
#pragma once

#include "engine/postgresql/login.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::postgresql {

// Failures are checks, not exceptions.
Probe probe_database(const Login& login, util::Task& task);

}  // namespace dbbackup::engine::postgresql
