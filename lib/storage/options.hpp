// The options of a storage URL on their way into a store's settings: each is taken once by its
// name, and what nobody took is an error.
//
// Threads: one at a time.
// Errors: usage, naming the option; never a value, which may be a secret.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/secret.hpp"
#include "http/client.hpp"
#include "storage/object_store.hpp"

namespace dbbackup::storage {

class OptionReader {
 public:
  // `kind` for messages: "S3 storage".
  OptionReader(const StoreOptions& options, std::string kind);

  std::optional<std::string> text(const std::string& name);
  crypto::Secret secret(const std::string& name);
  bool flag(const std::string& name, bool otherwise);  // true|false|yes|no|1|0
  std::optional<std::int64_t> number(const std::string& name, std::int64_t least,
                                     std::int64_t most);
  std::optional<std::string> choice(const std::string& name,
                                    const std::vector<std::string>& choices);
  // http:// or https:// and a host, without a path; the trailing slash is dropped.
  std::optional<std::string> endpoint();
  // upload_limit and download_limit, in bytes a second; null without.
  std::shared_ptr<http::RateLimit> limit(const std::string& name);
  // Both, and ca_file: what every remote store knows.
  http::ClientOptions client();

  // To be called when everything known was asked for.
  void refuse_the_rest() const;

 private:
  [[noreturn]] void refuse(const std::string& name, std::string_view problem,
                           const std::string& hint = {}) const;

  const StoreOptions& options_;
  const std::string kind_;
  std::set<std::string> known_;
};

}  // namespace dbbackup::storage
