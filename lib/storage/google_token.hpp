// Access tokens for Google's services: from a service account's key (a signed JWT is exchanged for
// a token), or from the machine itself (the metadata server of Compute Engine and Kubernetes).
//
// Source: developers.google.com/identity/protocols/oauth2/service-account "HTTP/REST";
// cloud.google.com/compute/docs/access/authenticate-workloads.
//
// Threads: safe from any thread.
// Owns: the token, renewed five minutes before it ends.
#pragma once

#include <mutex>
#include <string>

#include "crypto/secret.hpp"
#include "http/client.hpp"
#include "util/time.hpp"

namespace dbbackup::storage {

class GoogleTokens {
 public:
  // Without a key file the machine's own identity is asked for at `metadata_url`.
  GoogleTokens(std::string key_file, std::string metadata_url, http::ClientOptions client)
      : key_file_(std::move(key_file)),
        metadata_url_(std::move(metadata_url)),
        client_(std::move(client)) {}

  // "Bearer ..."
  // Errors: config_invalid for a file that is no service account key; permission_denied when the
  // token is refused, with the clock's difference where there is one; those of http.
  std::string authorization();
  // The next authorization() fetches a new token.
  void forget();

 private:
  http::Request key_request(std::string& body);
  void fetch();

  const std::string key_file_;
  const std::string metadata_url_;
  http::Client client_;
  const util::SystemClock clock_;
  std::mutex mutex_;
  crypto::Secret token_;
  util::TimePoint good_until_;
};

}  // namespace dbbackup::storage
