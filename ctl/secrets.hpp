// Secrets on their way from a person, a file or a credential to the socket; never from the command
// line.
//
// The client lives for one command and keeps nothing; what it read ends with its process.
//
// Threads: used by the main thread only.
#pragma once

#include <istream>
#include <string>

#include "ctl/arguments.hpp"
#include "ctl/terminal.hpp"

namespace dbbackup::ctl {

// The secret without the newline that ends its line. `name` is the parameter's, for messages.
// Errors: usage (empty secret, unset variable, the two answers differ), not_found,
// permission_denied.
std::string read_secret_from(const SecretSource& source, std::string_view name,
                             const Terminal& terminal, const Environment& environment,
                             std::istream& input);

}  // namespace dbbackup::ctl
