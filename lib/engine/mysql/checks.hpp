// What `database test` looks at: the server, the login's privileges and what a backup would miss
// without them.
#pragma once

#include "engine/mysql/crew.hpp"

namespace dbbackup::engine::mysql {

Probe probe_database(const std::string& engine, const Place& place, const std::string& password,
                     util::Task& task);

}  // namespace dbbackup::engine::mysql
