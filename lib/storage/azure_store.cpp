// Azure Blob Storage: block blobs, each put with one request.
//
// Source: learn.microsoft.com/rest/api/storageservices (Put Blob, Get Blob, Get Blob Properties,
// Delete Blob, List Blobs; "Authorize with Shared Key"). Service version 2021-08-06: a Put Blob may
// have 5000 MiB.
//
// Content goes with its MD5, which the service compares and keeps; whole reads are compared again.
#include <algorithm>
#include <map>

#include "crypto/web.hpp"
#include "storage/cloud_store.hpp"
#include "storage/options.hpp"
#include "storage/url.hpp"
#include "storage/xml.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::string_view kServiceVersion = "2021-08-06";

struct AzureSettings {
  std::string name;
  std::string account;
  std::string container;
  std::string prefix;
  std::string base;            // scheme and host; for emulators with the account as a path
  crypto::Secret account_key;  // decoded
  crypto::Secret sas_token;    // a query without its question mark
  std::string access_tier;
};

class AzureService final : public CloudService {
 public:
  explicit AzureService(AzureSettings settings) : settings_(std::move(settings)) {}

  const std::string& name() const override { return settings_.name; }
  const std::string& prefix() const override { return settings_.prefix; }

  http::Request get(const std::string& name, const std::optional<Range>& range) override {
    http::Request request{.method = "GET"};
    if (range) {
      request.headers.emplace_back(
          "x-ms-range", cat("bytes=", range->offset, "-", range->offset + range->length - 1));
    }
    return authorise(std::move(request), name, {});
  }

  http::Request head(const std::string& name) override {
    return authorise({.method = "HEAD"}, name, {});
  }

  http::Request put(const std::string& name, const Upload& upload) override {
    http::Request request{.method = "PUT"};
    request.body = upload.content;
    request.headers = {{"content-type", "application/octet-stream"},
                       {"content-md5", upload.hash},
                       {"x-ms-blob-type", "BlockBlob"}};
    if (!settings_.access_tier.empty()) {
      request.headers.emplace_back("x-ms-access-tier", settings_.access_tier);
    }
    if (upload.only_new) request.headers.emplace_back("if-none-match", "*");
    return authorise(std::move(request), name, {});
  }

  http::Request remove(const std::string& name) override {
    return authorise({.method = "DELETE"}, name, {});
  }

  http::Request list(const std::string& prefix, const std::string& token) override {
    std::map<std::string, std::string> query = {
        {"restype", "container"}, {"comp", "list"}, {"prefix", prefix}};
    if (!token.empty()) query["marker"] = token;
    return authorise({.method = "GET"}, "", query);
  }

  std::string hash_of(util::ByteView content) const override {
    return crypto::to_base64(crypto::md5(content));
  }

  ObjectInfo read_info(const http::Response& head) const override {
    return {"",
            static_cast<std::uint64_t>(util::parse_int(head.header("content-length")).value_or(0)),
            http::parse_http_date(head.header("last-modified")).value_or(util::TimePoint())};
  }

  ListPage read_page(const http::Response& response) const override {
    const std::string_view document = util::as_text(response.body);
    ListPage page;
    for (const std::string_view blob : xml_elements(document, "Blob")) {
      page.objects.push_back(
          {xml_text(blob, "Name").value_or(""),
           static_cast<std::uint64_t>(
               util::parse_int(xml_text(blob, "Content-Length").value_or("")).value_or(0)),
           http::parse_http_date(xml_text(blob, "Last-Modified").value_or(""))
               .value_or(util::TimePoint())});
    }
    page.next = xml_text(document, "NextMarker").value_or("");
    return page;
  }

  bool is_intact(const http::Response& object) const override {
    const std::string_view sum = object.header("content-md5");
    return sum.empty() || sum == hash_of(object.body);
  }

  bool says_exists(const http::Response& refusal) const override {
    return refusal.status == 412 ||
           (refusal.status == 409 && refusal.header("x-ms-error-code") == "BlobAlreadyExists");
  }

  Error refusal(const http::Response& response) const override {
    const std::string_view document = util::as_text(response.body);
    std::string code(response.header("x-ms-error-code"));
    if (code.empty()) code = xml_text(document, "Code").value_or("");
    code = util::printable(code);
    // The message goes on with a request id and a time on lines of their own.
    std::string text = xml_text(document, "Message").value_or("");
    text = util::printable(text.substr(0, text.find('\n')));
    const std::string what = code.empty() ? cat("the server answered with status ", response.status)
                             : text.empty() ? code
                                            : cat(code, ": ", text);
    ErrorCode kind = code_of_status(response.status);
    std::string hint;
    if (code == "ContainerNotFound") {
      kind = ErrorCode::unavailable;
      hint = cat("create the container ", settings_.container,
                 " first; containers are not created here");
    } else if (code == "ContainerBeingDeleted" || code == "ServerBusy" ||
               code == "OperationTimedOut" || code == "InternalError") {
      kind = ErrorCode::unavailable;
    } else if (code == "Md5Mismatch") {
      kind = ErrorCode::unavailable;
    } else if (code == "BlobImmutableDueToPolicy" || code == "BlobImmutableDueToLegalHold") {
      kind = ErrorCode::refused;
      hint = "a policy of the container keeps the blob; it can be removed when that has ended";
    } else if (code == "AuthenticationFailed" || code == "AuthorizationFailure") {
      const std::string difference = clock_difference(response, clock_.now());
      hint = settings_.sas_token.empty() ? "the account key is wrong"
                                         : "the SAS token is wrong, or it has ended";
      if (!difference.empty()) hint += cat("; also, ", difference);
    }
    return {kind, what, hint};
  }

 private:
  // The resource and its query; a SAS token joins them, a key signs them.
  http::Request authorise(http::Request request, const std::string& name,
                          const std::map<std::string, std::string>& query) const {
    std::string path = cat("/", settings_.container);
    if (!name.empty()) path += cat("/", http::percent_encode(name, true));
    std::vector<std::string> pairs;
    for (const auto& [key, value] : query)
      pairs.push_back(cat(key, "=", http::percent_encode(value)));
    request.headers.emplace_back("x-ms-version", std::string(kServiceVersion));
    request.headers.emplace_back("x-ms-date", http::format_http_date(clock_.now()));
    if (!settings_.sas_token.empty()) {
      pairs.emplace_back(settings_.sas_token.reveal_text());
    } else {
      sign(request, path, query);
    }
    request.url = cat(settings_.base, path);
    if (!pairs.empty()) request.url += cat("?", util::join(pairs, "&"));
    return request;
  }

  // Source: "Authorize with Shared Key", Blob service.
  void sign(http::Request& request, const std::string& path,
            const std::map<std::string, std::string>& query) const {
    std::map<std::string, std::string> headers;
    for (const auto& [name, value] : request.headers) headers[util::to_lower(name)] = value;
    std::string text = request.method + "\n";
    headers["content-length"] = request.body.empty() ? "" : std::to_string(request.body.size());
    for (const char* name : {"content-encoding", "content-language", "content-length",
                             "content-md5", "content-type", "date", "if-modified-since", "if-match",
                             "if-none-match", "if-unmodified-since", "range"}) {
      text += cat(headers[name], "\n");
    }
    for (const auto& [name, value] : headers) {
      if (name.starts_with("x-ms-")) text += cat(name, ":", value, "\n");
    }
    // An emulator's URLs have the account in their path, too.
    const std::size_t host = settings_.base.find("://") + 3;
    const std::size_t slash = std::min(settings_.base.find('/', host), settings_.base.size());
    text += cat("/", settings_.account, settings_.base.substr(slash), path);
    for (const auto& [name, value] : query) text += cat("\n", name, ":", value);
    request.headers.emplace_back(
        "authorization",
        cat("SharedKey ", settings_.account, ":",
            crypto::to_base64(crypto::hmac_sha256(settings_.account_key.reveal(), text))));
  }

  const AzureSettings settings_;
  const util::SystemClock clock_;
};

AzureSettings settings_of(const std::string& text, OptionReader& options) {
  const Url url = parse_store_url(text);
  AzureSettings settings;
  settings.account = url.host;
  const std::string path = key_prefix_of(url.path);
  const std::size_t slash = path.find('/');
  if (url.host.empty() || !url.user.empty() || slash == std::string::npos) {
    throw Error(ErrorCode::usage,
                "an Azure URL names an account and a container: azblob://account/container/prefix");
  }
  settings.container = path.substr(0, slash);
  settings.prefix = path.substr(slash + 1);
  settings.name = cat("azblob://", url.host, url.path);
  settings.base = options.endpoint().value_or(cat("https://", url.host, ".blob.core.windows.net"));
  const crypto::Secret key = options.secret("account_key");
  settings.sas_token = options.secret("sas_token");
  settings.access_tier = options.choice("access_tier", {"Hot", "Cool", "Cold"}).value_or("");
  if (key.empty() == settings.sas_token.empty()) {
    throw Error(ErrorCode::usage,
                "Azure storage needs one of the options account_key and sas_token",
                "for example: --option account_key=@FILE");
  }
  if (!key.empty()) {
    const auto decoded = crypto::from_base64(key.reveal_text());
    if (!decoded) {
      throw Error(ErrorCode::usage, "the option account_key is not an account key",
                  "it is shown in base64 under \"Access keys\" of the storage account");
    }
    settings.account_key = crypto::Secret(*decoded);
  } else if (settings.sas_token.reveal_text().starts_with('?')) {
    settings.sas_token = crypto::Secret::from_text(settings.sas_token.reveal_text().substr(1));
  }
  return settings;
}

}  // namespace

std::unique_ptr<ObjectStore> open_azure_store(const std::string& url, const StoreOptions& options) {
  OptionReader reader(options, "Azure storage");
  AzureSettings settings = settings_of(url, reader);
  const http::ClientOptions client = reader.client();
  reader.refuse_the_rest();
  return std::make_unique<CloudStore>(std::make_unique<AzureService>(std::move(settings)), client);
}

}  // namespace dbbackup::storage
