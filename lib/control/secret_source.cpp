#include "control/secret_source.hpp"

#include "util/bytes.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

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

}  // namespace

SecretSource parse_secret_source(std::string_view text, std::string_view name) {
  if (text == "-") return {"stdin"};
  if (text.starts_with('@') && text.size() > 1) return {"file", std::string(text.substr(1))};
  for (const std::string_view kind : {"env", "credential"}) {
    if (text.starts_with(kind) && text.size() > kind.size() + 1 && text[kind.size()] == ':') {
      return {std::string(kind), std::string(text.substr(kind.size() + 1))};
    }
  }
  throw Error(ErrorCode::usage,
              cat("the value of option ", name,
                  " is a secret, and the command line is visible to "
                  "everybody"),
              cat("write ", name, "=@FILE, ", name, "=env:VARIABLE, ", name,
                  "=credential:NAME, or ", name, "=- for a line of standard input"));
}

std::string read_secret(const SecretSource& source, std::string_view name,
                        const Environment& environment, std::istream& input) {
  std::string secret;
  if (source.kind == "stdin") {
    std::getline(input, secret);
  } else if (source.kind == "file") {
    secret = read_secret_file(source.value, name);
  } else if (source.kind == "credential") {
    secret = read_credential(source.value, name, environment);
  } else {
    const auto value = environment(source.value.c_str());
    if (!value) {
      throw Error(ErrorCode::usage, cat("the environment variable ", source.value, " is not set"));
    }
    secret = *value;
  }
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) throw Error(ErrorCode::usage, cat("the ", name, " is empty"));
  return secret;
}

}  // namespace dbbackup::control
