// MySQL and MariaDB: one engine under the two names people write in URLs. Their artifacts have the
// same form; a database of one name can take an artifact of the other as far as the server
// understands the definitions.
#pragma once

#include <vector>

#include "engine/entry.hpp"

namespace dbbackup::engine::mysql {

// Scheme and engine name "mysql", and "mariadb".
std::vector<Entry> entries();

}  // namespace dbbackup::engine::mysql
