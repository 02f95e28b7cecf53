// Google Cloud Storage through its JSON API.
//
// Source: cloud.google.com/storage/docs/json_api (objects: insert, get, list, delete),
// .../docs/performing-resumable-uploads, .../docs/request-preconditions.
//
// Content goes with its MD5 in the object's metadata, which the service compares. Small objects are
// one request; larger ones a resumable upload, which after a break goes on where the server says it
// is. put_new() asks for generation 0: no object of that name.
#include <algorithm>
#include <cstring>

#include "crypto/cipher.hpp"
#include "crypto/web.hpp"
#include "storage/cloud_store.hpp"
#include "storage/google_token.hpp"
#include "storage/options.hpp"
#include "storage/url.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kResumableFrom = std::size_t{8} << 20U;
constexpr int kResumeIncomplete = 308;
// Answers in a row after which an upload that does not move is given up.
constexpr unsigned kMostWithoutProgress = 8;

struct GcsSettings {
  std::string name;
  std::string bucket;
  std::string prefix;
  std::string endpoint;
  std::string storage_class;
};

class GcsService final : public CloudService {
 public:
  GcsService(GcsSettings settings, std::string key_file, std::string metadata_url,
             const http::ClientOptions& client)
      : settings_(std::move(settings)),
        tokens_(std::move(key_file), std::move(metadata_url), client) {}

  const std::string& name() const override { return settings_.name; }
  const std::string& prefix() const override { return settings_.prefix; }

  http::Request get(const std::string& name, const std::optional<Range>& range) override {
    http::Request request{.method = "GET", .url = object_url(name) + "?alt=media"};
    if (range) {
      request.headers.emplace_back(
          "range", cat("bytes=", range->offset, "-", range->offset + range->length - 1));
    }
    return authorise(std::move(request));
  }

  http::Request head(const std::string& name) override {
    return authorise({.method = "GET", .url = object_url(name) + "?fields=size,updated"});
  }

  http::Request put(const std::string& name, const Upload& upload) override {
    // Source: RFC 2387, multipart/related: metadata, then content, between lines that neither has.
    util::Bytes random(16);
    crypto::random_bytes(random.data(), random.size());
    const std::string boundary = util::to_hex(random);
    const auto body = std::make_shared<util::Bytes>(util::to_bytes(
        cat("--", boundary, "\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n",
            metadata(name, upload), "\r\n--", boundary,
            "\r\ncontent-type: application/octet-stream\r\n\r\n")));
    body->insert(body->end(), upload.content.begin(), upload.content.end());
    const util::Bytes end = util::to_bytes(cat("\r\n--", boundary, "--\r\n"));
    body->insert(body->end(), end.begin(), end.end());
    http::Request request{.method = "POST", .url = upload_url("multipart", name, upload.only_new)};
    request.headers = {{"content-type", cat("multipart/related; boundary=", boundary)}};
    request.source = http::BodySource{
        body->size(), [body](std::uint64_t offset, std::span<std::uint8_t> buffer) {
          const std::size_t size =
              std::min(buffer.size(), body->size() - static_cast<std::size_t>(offset));
          if (size > 0) std::memcpy(buffer.data(), body->data() + offset, size);
          return size;
        }};
    return authorise(std::move(request));
  }

  http::Request remove(const std::string& name) override {
    return authorise({.method = "DELETE", .url = object_url(name)});
  }

  http::Request list(const std::string& prefix, const std::string& token) override {
    std::string url = cat(
        settings_.endpoint, "/storage/v1/b/", settings_.bucket,
        "/o?fields=items(name,size,updated),nextPageToken&prefix=", http::percent_encode(prefix));
    if (!token.empty()) url += cat("&pageToken=", http::percent_encode(token));
    return authorise({.method = "GET", .url = std::move(url)});
  }

  std::string hash_of(util::ByteView content) const override {
    return crypto::to_base64(crypto::md5(content));
  }

  ObjectInfo read_info(const http::Response& head) const override {
    return info_of(parse_object(head));
  }

  ListPage read_page(const http::Response& response) const override {
    const json::Object document = parse_object(response);
    ListPage page;
    if (const json::Array* items = json::get_array(document, "items")) {
      for (const json::Value& item : *items) {
        if (item.is_object()) page.objects.push_back(info_of(item.get_object()));
      }
    }
    page.next = json::get_string(document, "nextPageToken").value_or("");
    return page;
  }

  bool is_intact(const http::Response& object) const override {
    for (const auto& [name, value] : object.headers) {
      if (name != "x-goog-hash") continue;
      for (const std::string& part : util::split(value, ',')) {
        const std::string_view sum = util::trim(part);
        if (sum.starts_with("md5=") && sum.substr(4) != hash_of(object.body)) return false;
      }
    }
    return true;
  }

  bool says_exists(const http::Response& refusal) const override { return refusal.status == 412; }

  Error refusal(const http::Response& response) const override {
    std::string text;
    std::string reason;
    try {
      const json::Object document = parse_object(response);
      if (const json::Object* error = json::get_object(document, "error")) {
        text = util::printable(json::get_string(*error, "message").value_or(""));
        const json::Array* errors = json::get_array(*error, "errors");
        if (errors != nullptr && !errors->empty() && errors->front().is_object()) {
          reason = json::get_string(errors->front().get_object(), "reason").value_or("");
        }
      }
    } catch (const Error&) {
      // Media requests are refused in plain text.
      text = util::printable(util::as_text(response.body).substr(0, 200));
    }
    if (text.empty()) text = cat("the server answered with status ", response.status);
    ErrorCode kind = code_of_status(response.status);
    std::string hint;
    if (reason == "retentionPolicyNotMet" || reason == "objectUnderActiveHold") {
      kind = ErrorCode::refused;
      hint =
          "a retention policy of the bucket keeps the object; it can be removed when that has "
          "ended";
    } else if (response.status == 404 && text.find("bucket does not exist") != std::string::npos) {
      kind = ErrorCode::unavailable;
      hint = cat("create the bucket ", settings_.bucket, " first; buckets are not created here");
    } else if (response.status == 401) {
      hint = "the access token was refused";
    }
    return {kind, text, hint};
  }

  bool renew(const http::Response& refusal, const std::stop_token&) override {
    if (refusal.status != 401) return false;
    tokens_.forget();
    return true;
  }

  bool put_in_parts(CloudStore& store, const std::string& name, const Upload& upload,
                    const std::stop_token& stop) override {
    if (upload.content.size() < kResumableFrom) return false;
    const std::string what = cat("cannot store ", upload.key, " in ", this->name());
    // A session may end on the server's side; then everything is sent again, which it seldom is.
    for (unsigned begun = 1; !resumable(store, what, name, upload, stop); ++begun) {
      if (begun == 3) {
        throw Error(ErrorCode::unavailable, cat(what, ": the server ended the upload"));
      }
    }
    return true;
  }

 private:
  // False when the session is gone.
  bool resumable(CloudStore& store, const std::string& what, const std::string& name,
                 const Upload& upload, const std::stop_token& stop) {
    const std::string document = metadata(name, upload);
    const http::Response begun = store.require(
        what,
        [&] {
          http::Request request{.method = "POST",
                                .url = upload_url("resumable", name, upload.only_new)};
          request.body = util::as_bytes(document);
          request.headers = {{"content-type", "application/json; charset=UTF-8"},
                             {"x-upload-content-length", std::to_string(upload.content.size())}};
          return authorise(std::move(request));
        },
        stop);
    const std::string session(begun.header("location"));
    if (session.empty()) throw Error(ErrorCode::unavailable, cat(what, ": no upload session"));

    const std::size_t size = upload.content.size();
    std::size_t stored = 0;  // what the server is known to have
    for (unsigned idle = 0; idle < kMostWithoutProgress;) {
      bool broken = false;  // then the server is asked how far it came
      const http::Response response =
          store
              .send(
                  [&] {
                    http::Request request{.method = "PUT", .url = session};
                    if (std::exchange(broken, true)) {
                      request.headers = {{"content-range", cat("bytes */", size)}};
                    } else {
                      request.headers = {
                          {"content-range", cat("bytes ", stored, "-", size - 1, "/", size)}};
                      request.body = upload.content.subspan(stored);
                    }
                    return authorise(std::move(request));
                  },
                  stop)
              .response;
      if (response.ok()) return true;
      if (response.status == 404 || response.status == 410) return false;
      if (response.status != kResumeIncomplete) throw store.error_of(what, response);
      const std::size_t now = stored_after(response);
      if (now > size) throw Error(ErrorCode::io, cat(what, ": the server has more than was sent"));
      idle = now > stored ? 0 : idle + 1;
      stored = now;
    }
    throw Error(ErrorCode::unavailable, cat(what, ": the upload does not move"));
  }

  // "Range: bytes=0-42": 43 bytes are there. None: nothing.
  static std::size_t stored_after(const http::Response& response) {
    const std::string_view range = response.header("range");
    const std::size_t dash = range.find('-');
    if (dash == std::string_view::npos) return 0;
    const auto last = util::parse_int(range.substr(dash + 1));
    return last && *last >= 0 ? static_cast<std::size_t>(*last) + 1 : 0;
  }

  std::string object_url(const std::string& name) const {
    return cat(settings_.endpoint, "/storage/v1/b/", settings_.bucket, "/o/",
               http::percent_encode(name));
  }

  std::string upload_url(std::string_view type, const std::string& name, bool only_new) const {
    return cat(settings_.endpoint, "/upload/storage/v1/b/", settings_.bucket,
               "/o?uploadType=", type, "&name=", http::percent_encode(name),
               only_new ? "&ifGenerationMatch=0" : "");
  }

  std::string metadata(const std::string& name, const Upload& upload) const {
    json::Object document{
        {"name", name}, {"contentType", "application/octet-stream"}, {"md5Hash", upload.hash}};
    if (!settings_.storage_class.empty()) document["storageClass"] = settings_.storage_class;
    return json::write(document);
  }

  http::Request authorise(http::Request request) {
    request.headers.emplace_back("authorization", tokens_.authorization());
    return request;
  }

  json::Object parse_object(const http::Response& response) const {
    const json::Value value = json::parse(util::as_text(response.body));
    if (!value.is_object())
      throw Error(ErrorCode::unavailable, cat(name(), " sent no JSON object"));
    return value.get_object();
  }

  // Sizes are decimal text (Source: JSON API, "unsigned long").
  static ObjectInfo info_of(const json::Object& object) {
    return {json::get_string(object, "name").value_or(""),
            static_cast<std::uint64_t>(
                util::parse_int(json::get_string(object, "size").value_or("")).value_or(0)),
            util::parse_time(json::get_string(object, "updated").value_or(""))
                .value_or(util::TimePoint())};
  }

  const GcsSettings settings_;
  GoogleTokens tokens_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_gcs_store(const std::string& text, const StoreOptions& options) {
  OptionReader reader(options, "Google Cloud storage");
  const Url url = parse_store_url(text);
  if (url.host.empty() || !url.user.empty() ||
      url.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos) {
    throw Error(ErrorCode::usage, "a Google Cloud storage URL names a bucket: gs://bucket/prefix");
  }
  GcsSettings settings;
  settings.name = cat("gs://", url.host, url.path);
  settings.bucket = url.host;
  settings.prefix = key_prefix_of(url.path);
  settings.endpoint = reader.endpoint().value_or("https://storage.googleapis.com");
  settings.storage_class =
      reader.choice("storage_class", {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}).value_or("");
  const std::string key_file = reader.text("service_account_file").value_or("");
  const std::string metadata_url = reader.text("token_url")
                                       .value_or(
                                           "http://metadata.google.internal/computeMetadata/v1/"
                                           "instance/service-accounts/default/"
                                           "token");
  const http::ClientOptions client = reader.client();
  reader.refuse_the_rest();
  return std::make_unique<CloudStore>(
      std::make_unique<GcsService>(std::move(settings), key_file, metadata_url, client), client);
}

}  // namespace dbbackup::storage
