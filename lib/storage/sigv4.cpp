#include "storage/sigv4.hpp"

#include <algorithm>

#include "crypto/web.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

using util::cat;

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

struct Target {
  std::string host;
  std::string path;
  std::string query;  // sorted, every name with a =
};

Target target_of(const std::string& url) {
  const std::size_t host = url.find("://") + 3;
  const std::size_t path = std::min(url.find_first_of("/?", host), url.size());
  const std::size_t query = std::min(url.find('?', path), url.size());
  Target target{url.substr(host, path - host), url.substr(path, query - path), ""};
  if (target.path.empty()) target.path.push_back('/');
  if (query < url.size()) {
    std::vector<std::string> pairs = util::split(url.substr(query + 1), '&');
    for (std::string& pair : pairs) {
      if (pair.find('=') == std::string::npos) pair.push_back('=');
    }
    std::sort(pairs.begin(), pairs.end());
    target.query = util::join(pairs, "&");
  }
  return target;
}

// 20130524T000000Z
std::string compact_time(util::TimePoint now) {
  std::string text = util::format_rfc3339(now).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  text += 'Z';
  return text;
}

crypto::Sha256 signing_key(const AwsCredentials& credentials, std::string_view day,
                           const std::string& region) {
  const crypto::Secret first =
      crypto::Secret::from_text(cat("AWS4", credentials.secret_key.reveal_text()));
  crypto::Sha256 key = crypto::hmac_sha256(first.reveal(), day);
  for (const std::string_view part :
       {std::string_view(region), std::string_view("s3"), std::string_view("aws4_request")}) {
    key = crypto::hmac_sha256(key, part);
  }
  return key;
}

}  // namespace

void sign_v4(http::Request& request, const AwsCredentials& credentials, const std::string& region,
             const std::string& payload_hash, util::TimePoint now) {
  const Target target = target_of(request.url);
  const std::string time = compact_time(now);
  const std::string day = time.substr(0, 8);
  request.headers.emplace_back("x-amz-content-sha256", payload_hash);
  request.headers.emplace_back("x-amz-date", time);
  if (!credentials.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token",
                                 std::string(credentials.session_token.reveal_text()));
  }

  http::Headers headers = {{"host", target.host}};
  for (const auto& [name, value] : request.headers) {
    headers.emplace_back(util::to_lower(name), util::trim(value));
  }
  std::sort(headers.begin(), headers.end());
  std::string canonical_headers;
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    canonical_headers += cat(name, ":", value, "\n");
    names.push_back(name);
  }
  const std::string signed_names = util::join(names, ";");
  const std::string canonical = cat(request.method, "\n", target.path, "\n", target.query, "\n",
                                    canonical_headers, "\n", signed_names, "\n", payload_hash);

  const std::string scope = cat(day, "/", region, "/s3/aws4_request");
  const std::string to_sign = cat(kAlgorithm, "\n", time, "\n", scope, "\n",
                                  util::to_hex(crypto::sha256(util::as_bytes(canonical))));
  const std::string signature =
      util::to_hex(crypto::hmac_sha256(signing_key(credentials, day, region), to_sign));
  request.headers.emplace_back("authorization",
                               cat(kAlgorithm, " Credential=", credentials.access_key, "/", scope,
                                   ",SignedHeaders=", signed_names, ",Signature=", signature));
}

}  // namespace dbbackup::storage
