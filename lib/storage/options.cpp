#include "storage/options.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

using util::cat;
using util::Error;
using util::ErrorCode;

OptionReader::OptionReader(const StoreOptions& options, std::string kind)
    : options_(options), kind_(std::move(kind)) {
  std::set<std::string> seen;
  for (const auto& [name, value] : options_) {
    if (!seen.insert(name).second) refuse(name, "was given twice");
  }
}

void OptionReader::refuse(const std::string& name, std::string_view problem,
                          const std::string& hint) const {
  throw Error(ErrorCode::usage,
              cat("option '", util::printable(name), "' of ", kind_, " ", problem), hint);
}

std::optional<std::string> OptionReader::text(const std::string& name) {
  known_.insert(name);
  for (const auto& [given, value] : options_) {
    if (given != name) continue;
    if (value.empty()) refuse(name, "is empty");
    if (util::printable(value) != value && name.find("key") == std::string::npos) {
      refuse(name, "holds control characters");
    }
    return value;
  }
  return std::nullopt;
}

crypto::Secret OptionReader::secret(const std::string& name) {
  const std::optional<std::string> value = text(name);
  return value ? crypto::Secret::from_text(*value) : crypto::Secret();
}

bool OptionReader::flag(const std::string& name, bool otherwise) {
  const auto value = choice(name, {"true", "false", "yes", "no", "1", "0"});
  return value ? *value == "true" || *value == "yes" || *value == "1" : otherwise;
}

std::optional<std::int64_t> OptionReader::number(const std::string& name, std::int64_t least,
                                                 std::int64_t most) {
  const auto value = text(name);
  if (!value) return std::nullopt;
  const auto number = util::parse_int(*value);
  if (!number || *number < least || *number > most) {
    refuse(name, cat("is not a number from ", least, " to ", most));
  }
  return number;
}

std::optional<std::string> OptionReader::choice(const std::string& name,
                                                const std::vector<std::string>& choices) {
  const auto value = text(name);
  if (value && std::find(choices.begin(), choices.end(), *value) == choices.end()) {
    refuse(name, cat("is none of ", util::join(choices, ", ")));
  }
  return value;
}

std::optional<std::string> OptionReader::endpoint() {
  auto value = text("endpoint");
  if (!value) return std::nullopt;
  while (value->ends_with('/')) value->pop_back();
  const std::size_t host = value->find("://");
  const std::string scheme = host == std::string::npos ? "" : value->substr(0, host);
  if ((scheme != "http" && scheme != "https") || value->size() == host + 3) {
    refuse("endpoint", "is not an address", "write it as https://HOST or http://HOST:PORT");
  }
  if (value->find_first_of("?#@", host) != std::string::npos) {
    refuse("endpoint", "has more than a host, a port and a path");
  }
  return value;
}

std::shared_ptr<http::RateLimit> OptionReader::limit(const std::string& name) {
  const auto value = text(name);
  if (!value) return nullptr;
  const auto size = util::parse_size(*value);
  if (!size || *size < 1024) {
    refuse(name, "is not a size of at least 1KiB", "write bytes per second, for example 20MiB");
  }
  return std::make_shared<http::RateLimit>(*size);
}

http::ClientOptions OptionReader::client() {
  http::ClientOptions client;
  client.upload_limit = limit("upload_limit");
  client.download_limit = limit("download_limit");
  client.ca_file = text("ca_file").value_or("");
  return client;
}

void OptionReader::refuse_the_rest() const {
  for (const auto& [name, value] : options_) {
    if (known_.contains(name)) continue;
    const std::vector<std::string> names(known_.begin(), known_.end());
    const auto near = util::nearest(name, names);
    throw Error(ErrorCode::usage, cat("unknown option '", util::printable(name), "' for ", kind_),
                near            ? cat("did you mean ", *near, "?")
                : names.empty() ? cat(kind_, " has no options")
                                : cat("known options: ", util::join(names, ", ")));
  }
}

}  // namespace dbbackup::storage
