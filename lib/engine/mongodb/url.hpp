// mongodb:// and mongodb+srv:// taken apart; the driver keeps its say about the options.
//
// Threads: pure functions. Errors: usage.
#pragma once

#include <string>

#include "engine/engine.hpp"

namespace dbbackup::engine::mongodb {

// `rest` is what follows "://"; `address` has engine and url set.
void parse_mongodb_url(const std::string& rest, Address& address);

}  // namespace dbbackup::engine::mongodb
