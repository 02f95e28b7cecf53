// Storage URLs: which store an address and its options mean.
#include <algorithm>

#include "storage/object_store.hpp"
#include "storage/options.hpp"
#include "storage/url.hpp"
#include "storage/wrappers.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::string_view kKnownSchemes = "file, s3, gs, azblob, sftp";

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
  if (result.find('\0') != std::string::npos) {
    throw Error(ErrorCode::usage, "a path cannot contain a NUL character");
  }
  return result;
}

std::string folder_of(const Url& url) {
  if (!url.user.empty() || (!url.host.empty() && url.host != "localhost")) {
    throw Error(ErrorCode::usage,
                "a file URL names no host: it begins with file:/// and an absolute path");
  }
  if (url.path.find_first_not_of('/') == std::string::npos) {
    throw Error(ErrorCode::usage, "a file URL must name a folder", "write file:///path/to/folder");
  }
  return url.path;
}

// A store that is not connected to anything yet, or a folder that is.
std::unique_ptr<ObjectStore> make(const std::string& text, const StoreOptions& options,
                                  std::optional<StoreMode> mode) {
  const Url url = parse_store_url(text);
  if (url.scheme == "s3") return open_s3_store(text, options);
  if (url.scheme == "gs") return open_gcs_store(text, options);
  if (url.scheme == "azblob") return open_azure_store(text, options);
  if (url.scheme == "sftp") return open_sftp_store(text, options, mode);
  if (url.scheme != "file") {
    throw Error(ErrorCode::unsupported,
                cat("no storage of kind '", util::printable(url.scheme), "' in this build"),
                cat("known kinds: ", kKnownSchemes));
  }
  const std::string folder = folder_of(url);
  OptionReader reader(options, "file storage");
  auto upload = reader.limit("upload_limit");
  auto download = reader.limit("download_limit");
  reader.refuse_the_rest();
  if (!mode) return nullptr;
  return make_throttled(open_local_store(folder, *mode), std::move(upload), std::move(download));
}

}  // namespace

Url parse_store_url(const std::string& url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string::npos || colon == 0) {
    throw Error(ErrorCode::usage, "a storage URL looks like file:///path or s3://bucket/prefix",
                url.starts_with('/') ? cat("write file://", util::printable(url)) : "");
  }
  const std::size_t authority = colon + 3;
  const std::size_t path = std::min(url.find('/', authority), url.size());
  const std::string server = url.substr(authority, path - authority);
  const std::size_t at = server.rfind('@');
  Url parts;
  parts.scheme = util::to_lower(url.substr(0, colon));
  if (at != std::string::npos) {
    parts.user = server.substr(0, at);
    if (parts.user.find(':') != std::string::npos) {
      throw Error(
          ErrorCode::usage, "a storage URL must not contain a password",
          "give secrets as options read from a file, the environment or a systemd credential");
    }
    parts.user = percent_decoded(parts.user);
  }
  parts.host = at == std::string::npos ? server : server.substr(at + 1);
  const std::string encoded = url.substr(path);
  if (url.find_first_of("?#", authority) != std::string::npos) {
    throw Error(ErrorCode::usage, "a storage URL has neither a query nor a fragment",
                "write %3F for ? and %23 for #; options are given as --option KEY=VALUE");
  }
  parts.path = percent_decoded(encoded);
  return parts;
}

std::string key_prefix_of(const std::string& path) {
  std::string prefix;
  for (const std::string& segment : util::split(path, '/')) {
    if (segment.empty()) continue;
    if (segment == "." || segment == "..") {
      throw Error(ErrorCode::usage, "a storage URL's path has no . and .. in it");
    }
    prefix += segment + "/";
  }
  return prefix;
}

void check_store_url(const std::string& url, const StoreOptions& options) {
  make(url, options, std::nullopt);
}

std::unique_ptr<ObjectStore> open_store(const std::string& url, const StoreOptions& options,
                                        StoreMode mode) {
  return make(url, options, mode);
}

}  // namespace dbbackup::storage
