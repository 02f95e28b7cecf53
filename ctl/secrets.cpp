#include "ctl/secrets.hpp"

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

// Twice, because nobody sees what he types.
std::string ask_twice(std::string_view name, const Terminal& terminal) {
  if (!terminal.input) {
    throw Error(ErrorCode::usage, cat("there is no terminal to ask for the ", name, " on"),
                cat("use --", name, "-stdin, --", name, "-file or --", name, "-credential"));
  }
  std::string first = terminal.ask_secret(cat("New ", name, ": "));
  if (first != terminal.ask_secret(cat("New ", name, " again: "))) {
    throw Error(ErrorCode::usage, cat("the two ", name, "s differ; nothing was changed"));
  }
  return first;
}

}  // namespace

std::string read_secret_from(const SecretSource& source, std::string_view name,
                             const Terminal& terminal, const Environment& environment,
                             std::istream& input) {
  if (source.kind != "prompt") return control::read_secret(source, name, environment, input);
  std::string secret = ask_twice(name, terminal);
  if (secret.empty()) throw Error(ErrorCode::usage, cat("the ", name, " is empty"));
  return secret;
}

}  // namespace dbbackup::ctl
