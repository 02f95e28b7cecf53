// What a message of the server or of libpq means to us.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "util/error.hpp"

namespace dbbackup::engine::postgresql {

// `state` is the SQLSTATE, empty when there was none; only the first line of `message` is taken.
util::Error explained(std::string_view state, std::string_view message);

// The SQLSTATE in libpq's verbose message of a failed login ("FATAL:  28P01: password ..."), and
// the message without it.
std::string take_state(std::string& message);

}  // namespace dbbackup::engine::postgresql
