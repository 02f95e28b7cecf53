// Storage URLs: which store an address and its options mean.
#include <algorithm>

#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::string_view kKnownSchemes = "file";

struct Url {
  std::string scheme;
  std::string authority;
  std::string path;  // still encoded
};

// Messages never show the URL before it is known to hold no password.
Url split_url(const std::string& url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string::npos || colon == 0) {
    throw Error(ErrorCode::usage, "a storage URL looks like file:///path",
                url.starts_with('/') ? cat("write file://", util::printable(url)) : "");
  }
  const std::size_t authority = colon + 3;
  const std::size_t path = std::min(url.find('/', authority), url.size());
  return {util::to_lower(url.substr(0, colon)), url.substr(authority, path - authority),
          url.substr(path)};
}

void refuse_credentials(const Url& url) {
  const std::size_t at = url.authority.rfind('@');
  if (at == std::string::npos || url.authority.find(':') > at) return;
  throw Error(ErrorCode::usage, "a storage URL must not contain a password",
              "give secrets as options read from a file, the environment or a systemd credential");
}

std::string percent_decoded(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result += text[at];
      continue;
    }
    const std::optional<util::Bytes> byte = util::from_hex(text.substr(at + 1, 2));
    if (!byte || byte->size() != 1) {
      throw Error(ErrorCode::usage,
                  "a % in a storage URL must be followed by two hexadecimal digits",
                  "write %25 for a percent sign");
    }
    result += static_cast<char>(byte->front());
    at += 2;
  }
  return result;
}

std::string folder_of(const Url& url) {
  if (!url.authority.empty() && url.authority != "localhost") {
    throw Error(ErrorCode::usage,
                "a file URL names no host: it begins with file:/// and an absolute path");
  }
  if (url.path.find_first_of("?#") != std::string::npos) {
    throw Error(ErrorCode::usage, "a file URL has neither a query nor a fragment",
                "write %3F for ? and %23 for #");
  }
  std::string folder = percent_decoded(url.path);
  if (folder.find_first_not_of('/') == std::string::npos) {
    throw Error(ErrorCode::usage, "a file URL must name a folder", "write file:///path/to/folder");
  }
  if (folder.find('\0') != std::string::npos) {
    throw Error(ErrorCode::usage, "a path cannot contain a NUL character");
  }
  return folder;
}

std::string checked_folder(const std::string& text, const StoreOptions& options) {
  const Url url = split_url(text);
  refuse_credentials(url);
  if (url.scheme != "file") {
    throw Error(ErrorCode::unsupported,
                cat("no storage of kind '", util::printable(url.scheme), "' in this build"),
                cat("known kinds: ", kKnownSchemes));
  }
  std::string folder = folder_of(url);
  if (!options.empty()) {
    throw Error(
        ErrorCode::usage,
        cat("unknown option '", util::printable(options.front().first), "' for file storage"),
        "file storage has no options");
  }
  return folder;
}

}  // namespace

void check_store_url(const std::string& url, const StoreOptions& options) {
  checked_folder(url, options);
}

std::unique_ptr<ObjectStore> open_store(const std::string& url, const StoreOptions& options,
                                        StoreMode mode) {
  return open_local_store(checked_folder(url, options), mode);
}

}  // namespace dbbackup::storage
