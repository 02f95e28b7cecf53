// The examples of Amazon's documentation of Signature Version 4 for S3 ("Authenticating Requests:
// Using the Authorization Header", last section).
#include "storage/sigv4.hpp"

#include <catch2/catch.hpp>

#include "crypto/web.hpp"

namespace dbbackup::test {
namespace {

const storage::AwsCredentials kExample{
    "AKIAIOSFODNN7EXAMPLE",
    crypto::Secret::from_text("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    {}};
constexpr std::string_view kHost = "https://examplebucket.s3.amazonaws.com";

std::string header_of(const http::Request& request, std::string_view name) {
  for (const auto& [known, value] : request.headers) {
    if (known == name) return value;
  }
  return "";
}

// The signature of a request at the examples' time.
std::string signature_of(http::Request request, std::string_view body) {
  const auto now = util::parse_time("2013-05-24T00:00:00Z");
  storage::sign_v4(request, kExample, "us-east-1",
                   util::to_hex(crypto::sha256(util::as_bytes(body))), *now);
  const std::string value = header_of(request, "authorization");
  return value.substr(value.find("Signature=") + 10);
}

TEST_CASE("S3 requests are signed as the published examples are", "[storage][sigv4]") {
  CHECK(signature_of({.method = "GET",
                      .url = std::string(kHost) + "/test.txt",
                      .headers = {{"Range", "bytes=0-9"}}},
                     "") == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  CHECK(signature_of({.method = "PUT",
                      .url = std::string(kHost) + "/test%24file.text",
                      .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
                     "Welcome to Amazon S3.") ==
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  CHECK(signature_of({.method = "GET", .url = std::string(kHost) + "/?lifecycle"}, "") ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(signature_of({.method = "GET", .url = std::string(kHost) + "/?prefix=J&max-keys=2"}, "") ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("a session token is sent and signed", "[storage][sigv4]") {
  storage::AwsCredentials temporary = kExample;
  temporary.session_token = crypto::Secret::from_text("token");
  http::Request request{.method = "GET", .url = std::string(kHost) + "/a"};
  storage::sign_v4(request, temporary, "us-east-1", "00",
                   *util::parse_time("2013-05-24T00:00:00Z"));
  CHECK(header_of(request, "x-amz-security-token") == "token");
  CHECK_THAT(header_of(request, "authorization"),
             Catch::Contains("x-amz-date;x-amz-security-token"));
}

}  // namespace
}  // namespace dbbackup::test
