#include "storage/google_token.hpp"

#include "crypto/web.hpp"
#include "storage/cloud_store.hpp"
#include "util/file.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::chrono::minutes kRenewBefore{5};
constexpr std::chrono::hours kJwtLife{1};
constexpr std::string_view kScope = "https://www.googleapis.com/auth/devstorage.read_write";
constexpr std::string_view kGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";

json::Object parse_object(std::string_view text) {
  try {
    const json::Value value = json::parse(text);
    if (value.is_object()) return value.get_object();
  } catch (const Error&) {
    // Not JSON: the same as JSON that says nothing.
  }
  return {};
}

std::int64_t unix_seconds(util::TimePoint time) { return util::to_unix_ms(time) / 1000; }
}  // namespace

http::Request GoogleTokens::key_request(std::string& body) {
  const auto content = util::read_file(key_file_, 64U << 10U);
  if (!content) {
    throw Error(ErrorCode::not_found, cat("there is no service account file ", key_file_));
  }
  const json::Object key = parse_object(util::as_text(*content));
  const auto email = json::get_string(key, "client_email");
  const auto pem = json::get_string(key, "private_key");
  const auto address = json::get_string(key, "token_uri");
  if (!email || !pem || !address) {
    throw Error(ErrorCode::config_invalid, cat(key_file_, " is not the key of a service account"),
                "it is a JSON file with client_email, private_key and token_uri");
  }
  const util::TimePoint now = clock_.now();
  json::Object header{{"alg", "RS256"}, {"typ", "JWT"}};
  if (const auto id = json::get_string(key, "private_key_id")) header["kid"] = *id;
  const json::Object claims{{"iss", *email},
                            {"scope", kScope},
                            {"aud", *address},
                            {"iat", unix_seconds(now)},
                            {"exp", unix_seconds(now + kJwtLife)}};
  const std::string signed_part =
      cat(crypto::to_base64url(util::as_bytes(json::write(header))), ".",
          crypto::to_base64url(util::as_bytes(json::write(claims))));
  try {
    const util::Bytes signature = crypto::sign_rs256(crypto::Secret::from_text(*pem), signed_part);
    body = cat("grant_type=", http::percent_encode(kGrant), "&assertion=", signed_part, ".",
               crypto::to_base64url(signature));
  } catch (const Error& error) {
    throw error.with_context(key_file_);
  }
  return {.method = "POST",
          .url = *address,
          .headers = {{"content-type", "application/x-www-form-urlencoded"}},
          .body = util::as_bytes(body)};
}

// Requires: mutex_ is held.
void GoogleTokens::fetch() {
  std::string body;
  const auto make = [&] {
    if (!key_file_.empty()) return key_request(body);
    return http::Request{
        .method = "GET", .url = metadata_url_, .headers = {{"metadata-flavor", "Google"}}};
  };
  // The operation that needs the token is repeated as a whole; a short policy is enough here.
  http::RetryPolicy policy;
  policy.attempts = 3;
  const http::Response response = http::send(client_, policy, make, {}).response;
  const json::Object answer = parse_object(util::as_text(response.body));
  const auto token = json::get_string(answer, "access_token");
  if (!response.ok() || !token) {
    const std::string why = json::get_string(answer, "error_description")
                                .value_or(json::get_string(answer, "error").value_or(""));
    const std::string difference = clock_difference(response, clock_.now());
    const ErrorCode code =
        http::is_passing(response.status) ? ErrorCode::unavailable : ErrorCode::permission_denied;
    throw Error(code,
                cat("no access token from Google: ",
                    why.empty() ? cat("status ", response.status) : util::printable(why)),
                !difference.empty() ? difference
                : key_file_.empty() ? "give the option service_account_file where the machine has "
                                      "no identity of its own"
                                    : "the key may have been removed from the service account");
  }
  token_ = crypto::Secret::from_text(*token);
  good_until_ = clock_.now() + util::Seconds(json::get_int(answer, "expires_in").value_or(600));
}

std::string GoogleTokens::authorization() {
  const std::scoped_lock lock(mutex_);
  if (token_.empty() || clock_.now() + kRenewBefore >= good_until_) fetch();
  return cat("Bearer ", token_.reveal_text());
}

void GoogleTokens::forget() {
  const std::scoped_lock lock(mutex_);
  token_ = {};
}

}  // namespace dbbackup::storage
