// Where a secret comes from when a program is told on its command line: never from the command line
// itself, which everybody on the machine can read.
//
// Threads: pure functions, but for what they read.
#pragma once

#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <string_view>

namespace dbbackup::control {

struct SecretSource {
  std::string kind;  // stdin, file, env, credential
  std::string value = {};
};

using Environment = std::function<std::optional<std::string>(const char* name)>;

// `@FILE`, `env:VARIABLE`, `credential:NAME` (of systemd) or `-` (a line of standard input), as in
// --option secret_key=@FILE. `name` is the option's, for messages.
// Errors: usage for anything else, which may be the secret itself and is not shown.
SecretSource parse_secret_source(std::string_view text, std::string_view name);

// The secret without the newline that ends it.
// Errors: usage (empty, unset variable), not_found, permission_denied.
std::string read_secret(const SecretSource& source, std::string_view name,
                        const Environment& environment, std::istream& input);

}  // namespace dbbackup::control
