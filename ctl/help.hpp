// Help texts, made from the command table; each opens with examples.
//
// Threads: pure functions.
#pragma once

#include <span>
#include <string>

#include "ctl/verb.hpp"

namespace dbbackup::ctl {

// About the whole program (no words), a noun, or one command. Requires: `words` lead to one or more
// commands.
std::string help_text(std::span<const std::string> words);

// "dbbackupctl 0.1.0"
std::string version_text();

}  // namespace dbbackup::ctl
