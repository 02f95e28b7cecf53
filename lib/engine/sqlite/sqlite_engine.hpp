// The SQLite engine's line in the registry.
#pragma once

#include "engine/entry.hpp"

namespace dbbackup::engine::sqlite_engine {

Entry entry();

}  // namespace dbbackup::engine::sqlite_engine
