// One value as other tools write it.
//
// Threads: pure functions that append to `out`.
#pragma once

#include <string>

#include "engine/engine.hpp"

namespace dbbackup::exchange {

// Source: RFC 4180. NULL is an empty field; the empty string is "" in quotes; a blob is \x and
// hexadecimal digits.
void append_csv(const engine::Field& field, std::string& out);
// Text that is not valid UTF-8 and blobs become {"$hex": "..."}; reals that are not numbers become
// {"$real": "inf"}; a JSON value stands as it is.
void append_json(const engine::Field& field, std::string& out);

}  // namespace dbbackup::exchange
