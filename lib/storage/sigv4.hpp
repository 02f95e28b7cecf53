// AWS Signature Version 4 for S3: the headers that prove who sends a request.
//
// Our own instead of libcurl's, which in Debian 12's version needs its URL in canonical form anyway
// and does not send the hash of the payload by itself.
// Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, whose four
// examples are the unit tests.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "crypto/secret.hpp"
#include "http/client.hpp"
#include "util/time.hpp"

namespace dbbackup::storage {

struct AwsCredentials {
  std::string access_key;
  crypto::Secret secret_key;
  crypto::Secret session_token;  // of temporary credentials
};

// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token where there is one, and
// authorization. `payload_hash`: SHA-256 of the body in hexadecimal. Requires: the URL's path and
// query are percent-encoded as RFC 3986 says; every header that is there already is signed.
void sign_v4(http::Request& request, const AwsCredentials& credentials, const std::string& region,
             const std::string& payload_hash, util::TimePoint now);

}  // namespace dbbackup::storage
