// A storage URL in its parts.
//
// Threads: pure functions.
// Errors: usage. Messages never show the URL before it is known to hold no password.
#pragma once

#include <string>

namespace dbbackup::storage {

struct Url {
  std::string scheme;  // lower case
  std::string user;    // sftp only
  std::string host;    // bucket, account, host:port
  std::string path;    // decoded; empty or beginning with a slash
};

// Refuses a password, a query and a fragment.
Url parse_store_url(const std::string& url);

// The path as the beginning of object names: "/a/b/" becomes "a/b/", none becomes "".
std::string key_prefix_of(const std::string& path);

}  // namespace dbbackup::storage
