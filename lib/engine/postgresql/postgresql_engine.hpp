// PostgreSQL 13 and later, through libpq, pg_dump and pg_restore; see README.md beside this file.
#pragma once

#include "engine/entry.hpp"

namespace dbbackup::engine::postgresql {

Entry entry();

}  // namespace dbbackup::engine::postgresql
