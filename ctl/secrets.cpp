#include "ctl/secrets.hpp"

#include "util/bytes.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::uint64_t kLargestSecret = 64 * 1024;

std::string read_secret_file(const std::string& path, std::string_view name) {
  const auto content = util::read_file(path, kLargestSecret);
  if (!content) {
    throw Error(ErrorCode::not_found,
                cat("there is no file ", path, " to read the ", name, " from"));
  }
  return std::string(util::as_text(*content));
}

// Source: systemd.exec(5), LoadCredential=.
std::string read_credential(const std::string& credential, std::string_view name,
                            const Environment& environment) {
  const auto folder = environment("CREDENTIALS_DIRECTORY");
  if (!folder || folder->empty()) {
    throw Error(ErrorCode::not_found,
                cat("there are no systemd credentials to read the ", name, " from"),
                "credentials exist inside a unit with LoadCredential=; elsewhere use a file or "
                "standard input");
  }
  if (credential.empty() || credential.find('/') != std::string::npos) {
    throw Error(ErrorCode::usage, cat("a credential's name holds no slash: ", credential));
  }
  return read_secret_file(cat(*folder, "/", credential), name);
}

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
  std::string secret;
  if (source.kind == "stdin") {
    std::getline(input, secret);
  } else if (source.kind == "file") {
    secret = read_secret_file(source.value, name);
  } else if (source.kind == "credential") {
    secret = read_credential(source.value, name, environment);
  } else if (source.kind == "env") {
    const auto value = environment(source.value.c_str());
    if (!value) {
      throw Error(ErrorCode::usage, cat("the environment variable ", source.value, " is not set"));
    }
    secret = *value;
  } else {
    secret = ask_twice(name, terminal);
  }
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) throw Error(ErrorCode::usage, cat("the ", name, " is empty"));
  return secret;
}

}  // namespace dbbackup::ctl
