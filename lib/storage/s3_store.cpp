// S3 and whatever speaks its protocol.
//
// Source: docs.aws.amazon.com/AmazonS3/latest/API/ (PutObject, GetObject, HeadObject, DeleteObject,
// ListObjectsV2, CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload,
// PutObjectRetention).
//
// Every body is sent with its SHA-256, which the server compares (x-amz-content-sha256), keeps and
// gives back (x-amz-checksum-sha256), so that a whole object read is compared again.
//
// A pack is one request. Larger objects go in parts, of which a broken one alone is repeated.
//
// Object Lock: a bucket with locks keeps versions, where removing a name only hides it. So remove()
// looks at the newest version, refuses when that is locked, and removes it for good.
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "crypto/web.hpp"
#include "storage/cloud_store.hpp"
#include "storage/options.hpp"
#include "storage/rules.hpp"
#include "storage/sigv4.hpp"
#include "storage/url.hpp"
#include "storage/xml.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kMultipartFrom = std::size_t{40} << 20U;
constexpr std::size_t kPartBytes = std::size_t{16} << 20U;

struct S3Settings {
  std::string name;
  std::string bucket;
  std::string prefix;
  std::string base;  // scheme, host and, for path style, the bucket
  std::string region;
  AwsCredentials credentials;
  std::string credentials_file;
  std::string profile;
  std::string storage_class;
  std::string encryption;  // x-amz-server-side-encryption
  std::string kms_key;
  std::int64_t lock_days = 0;
  std::string lock_mode;
};

// The profile's part of a file in the form of ~/.aws/credentials.
// Source: docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html.
AwsCredentials read_credentials(const std::string& path, const std::string& profile) {
  const auto content = util::read_file(path, 64U << 10U);
  if (!content) throw Error(ErrorCode::not_found, cat("there is no credentials file ", path));
  std::map<std::string, std::string> values;
  bool inside = false;
  for (const std::string& raw : util::split(util::as_text(*content), '\n')) {
    const std::string_view line = util::trim(raw);
    if (line.starts_with('[')) {
      inside = line == cat("[", profile, "]");
    } else if (const std::size_t equals = line.find('='); inside && equals != line.npos) {
      values[std::string(util::trim(line.substr(0, equals)))] = util::trim(line.substr(equals + 1));
    }
  }
  if (values["aws_access_key_id"].empty() || values["aws_secret_access_key"].empty()) {
    throw Error(
        ErrorCode::config_invalid,
        cat(path, " has no aws_access_key_id and aws_secret_access_key under [", profile, "]"));
  }
  return {values["aws_access_key_id"], crypto::Secret::from_text(values["aws_secret_access_key"]),
          crypto::Secret::from_text(values["aws_session_token"])};
}

class S3Service final : public CloudService {
 public:
  explicit S3Service(S3Settings settings)
      : settings_(std::move(settings)), credentials_(settings_.credentials) {}

  const std::string& name() const override { return settings_.name; }
  const std::string& prefix() const override { return settings_.prefix; }

  http::Request get(const std::string& name, const std::optional<Range>& range) override {
    http::Request request{.method = "GET", .url = url_of(name)};
    if (range) {
      request.headers.emplace_back(
          "range", cat("bytes=", range->offset, "-", range->offset + range->length - 1));
    } else {
      request.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
    }
    return sign(std::move(request), empty_hash());
  }

  http::Request head(const std::string& name) override {
    return sign({.method = "HEAD", .url = url_of(name)}, empty_hash());
  }

  http::Request put(const std::string& name, const Upload& upload) override {
    http::Request request{.method = "PUT", .url = url_of(name)};
    request.body = upload.content;
    request.headers = creation_headers();
    request.headers.emplace_back("x-amz-checksum-sha256", checksum(upload.hash));
    if (upload.only_new) request.headers.emplace_back("if-none-match", "*");
    return sign(std::move(request), upload.hash);
  }

  http::Request remove(const std::string& name) override {
    return sign({.method = "DELETE", .url = url_of(name)}, empty_hash());
  }

  http::Request remove_version(const std::string& name, std::string_view version) {
    return sign({.method = "DELETE",
                 .url = cat(url_of(name), "?versionId=", http::percent_encode(version))},
                empty_hash());
  }

  http::Request retain(const std::string& name, const std::string& document) {
    http::Request request{.method = "PUT", .url = cat(url_of(name), "?retention=")};
    request.body = util::as_bytes(document);
    const std::string hash = hash_of(request.body);
    request.headers = {{"content-type", "application/xml"},
                       {"content-md5", crypto::to_base64(crypto::md5(request.body))}};
    return sign(std::move(request), hash);
  }

  http::Request list(const std::string& prefix, const std::string& token) override {
    std::string query;
    if (!token.empty()) query = cat("continuation-token=", http::percent_encode(token), "&");
    query += cat("list-type=2&prefix=", http::percent_encode(prefix));
    return sign({.method = "GET", .url = cat(settings_.base, "/?", query)}, empty_hash());
  }

  std::string hash_of(util::ByteView content) const override {
    return util::to_hex(crypto::sha256(content));
  }

  ObjectInfo read_info(const http::Response& head) const override {
    return {"",
            static_cast<std::uint64_t>(util::parse_int(head.header("content-length")).value_or(0)),
            http::parse_http_date(head.header("last-modified")).value_or(util::TimePoint())};
  }

  ListPage read_page(const http::Response& response) const override {
    const std::string_view document = util::as_text(response.body);
    ListPage page;
    for (const std::string_view object : xml_elements(document, "Contents")) {
      page.objects.push_back(
          {xml_text(object, "Key").value_or(""),
           static_cast<std::uint64_t>(
               util::parse_int(xml_text(object, "Size").value_or("")).value_or(0)),
           util::parse_time(xml_text(object, "LastModified").value_or(""))
               .value_or(util::TimePoint())});
    }
    if (xml_text(document, "IsTruncated") == "true") {
      page.next = xml_text(document, "NextContinuationToken").value_or("");
      if (page.next.empty()) {
        throw Error(ErrorCode::unavailable, cat(name(), " sent a listing without its end"));
      }
    }
    return page;
  }

  bool is_intact(const http::Response& object) const override {
    const std::string_view sum = object.header("x-amz-checksum-sha256");
    // "...-3" is the sum over the sums of three parts.
    if (sum.empty() || sum.find('-') != std::string_view::npos) return true;
    return sum == crypto::to_base64(crypto::sha256(object.body));
  }

  bool says_exists(const http::Response& refusal) const override { return refusal.status == 412; }

  Error refusal(const http::Response& response) const override {
    const std::string_view document = util::as_text(response.body);
    const std::string code = util::printable(xml_text(document, "Code").value_or(""));
    const std::string text = util::printable(xml_text(document, "Message").value_or(""));
    const std::string what = code.empty() ? cat("the server answered with status ", response.status)
                             : text.empty() ? code
                                            : cat(code, ": ", text);
    ErrorCode kind = code_of_status(response.status);
    std::string hint;
    if (code == "RequestTimeTooSkewed" || code == "RequestExpired") {
      const std::string difference = clock_difference(response, clock_.now());
      return {kind, difference.empty() ? what : cat(what, " (", difference, ")"),
              "set the clock, best with a time service (timedatectl set-ntp true)"};
    }
    if (code == "SignatureDoesNotMatch") {
      hint = "the secret key is wrong, or the region is not the bucket's";
      const std::string difference = clock_difference(response, clock_.now());
      if (!difference.empty()) hint += cat("; also, ", difference);
    } else if (code == "InvalidAccessKeyId") {
      hint = "the service does not know this access key";
    } else if (is_expired(code)) {
      hint =
          "the temporary credentials have ended: give new ones (repository update), or keep them "
          "in a credentials_file that is renewed";
    } else if (code == "NoSuchBucket") {
      kind = ErrorCode::unavailable;
      hint = cat("create the bucket ", settings_.bucket, " first; buckets are not created here");
    } else if (code == "QuotaExceeded" || code == "XMinioStorageFull") {
      kind = ErrorCode::no_space;
    } else if (code == "SlowDown" || code == "RequestTimeout" || code == "OperationAborted" ||
               code == "ConditionalRequestConflict") {
      kind = ErrorCode::unavailable;
    }
    if (const std::string_view region = response.header("x-amz-bucket-region");
        !region.empty() && region != settings_.region) {
      kind = ErrorCode::config_invalid;
      hint = cat("the bucket is in region ", region, ": set the option region");
    }
    return {kind, what, hint};
  }

  bool renew(const http::Response& refusal, const std::stop_token&) override {
    if (settings_.credentials_file.empty()) return false;
    const std::string code = xml_text(util::as_text(refusal.body), "Code").value_or("");
    // A HEAD is refused without a reason.
    if (!is_expired(code) && code != "InvalidAccessKeyId" && refusal.status != 403) return false;
    AwsCredentials fresh = read_credentials(settings_.credentials_file, settings_.profile);
    const std::scoped_lock lock(mutex_);
    const bool changed = fresh.access_key != credentials_.access_key ||
                         fresh.session_token != credentials_.session_token ||
                         fresh.secret_key != credentials_.secret_key;
    credentials_ = std::move(fresh);
    return changed;
  }

  bool put_in_parts(CloudStore& store, const std::string& name, const Upload& upload,
                    const std::stop_token& stop) override;

  const S3Settings& settings() const { return settings_; }
  util::TimePoint now() const { return clock_.now(); }

 private:
  static const std::string& empty_hash() {
    static const std::string hash = util::to_hex(crypto::sha256({}));
    return hash;
  }
  static std::string checksum(const std::string& hex) {
    return crypto::to_base64(*util::from_hex(hex));
  }
  static bool is_expired(const std::string& code) {
    return code == "ExpiredToken" || code == "TokenRefreshRequired" || code == "InvalidToken";
  }

  std::string url_of(const std::string& name) const {
    return cat(settings_.base, "/", http::percent_encode(name, true));
  }

  http::Request sign(http::Request request, const std::string& payload_hash) {
    const std::scoped_lock lock(mutex_);
    if (credentials_.access_key.empty()) {
      credentials_ = read_credentials(settings_.credentials_file, settings_.profile);
    }
    sign_v4(request, credentials_, settings_.region, payload_hash, clock_.now());
    return request;
  }

  http::Headers creation_headers() const {
    http::Headers headers = {{"content-type", "application/octet-stream"}};
    if (!settings_.storage_class.empty()) {
      headers.emplace_back("x-amz-storage-class", settings_.storage_class);
    }
    if (!settings_.encryption.empty()) {
      headers.emplace_back("x-amz-server-side-encryption", settings_.encryption);
    }
    if (!settings_.kms_key.empty()) {
      headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", settings_.kms_key);
    }
    return headers;
  }

  const S3Settings settings_;
  const util::SystemClock clock_;
  std::mutex mutex_;  // guards credentials_
  AwsCredentials credentials_;
};

bool S3Service::put_in_parts(CloudStore& store, const std::string& name, const Upload& upload,
                             const std::stop_token& stop) {
  if (upload.content.size() < kMultipartFrom) return false;
  const std::string what = cat("cannot store ", upload.key, " in ", this->name());
  const std::string url = url_of(name);
  const http::Response begun = store.require(
      what,
      [&] {
        http::Request request{.method = "POST", .url = url + "?uploads="};
        request.headers = creation_headers();
        request.headers.emplace_back("x-amz-checksum-algorithm", "SHA256");
        return sign(std::move(request), empty_hash());
      },
      stop);
  const std::string id =
      http::percent_encode(xml_text(util::as_text(begun.body), "UploadId").value_or(""));
  try {
    std::string parts = "<CompleteMultipartUpload>";
    unsigned number = 0;
    for (std::size_t at = 0; at < upload.content.size(); at += kPartBytes) {
      const util::ByteView part =
          upload.content.subspan(at, std::min(kPartBytes, upload.content.size() - at));
      const std::string hash = hash_of(part);
      ++number;
      const http::Response stored = store.require(
          what,
          [&] {
            http::Request request{.method = "PUT",
                                  .url = cat(url, "?partNumber=", number, "&uploadId=", id)};
            request.body = part;
            request.headers = {{"x-amz-checksum-sha256", checksum(hash)}};
            return sign(std::move(request), hash);
          },
          stop);
      parts += cat("<Part><PartNumber>", number, "</PartNumber><ETag>", stored.header("etag"),
                   "</ETag><ChecksumSHA256>", checksum(hash), "</ChecksumSHA256></Part>");
    }
    parts += "</CompleteMultipartUpload>";
    const std::string hash = hash_of(util::as_bytes(parts));
    const http::Settled completed = store.send(
        [&] {
          http::Request request{.method = "POST", .url = cat(url, "?uploadId=", id)};
          request.body = util::as_bytes(parts);
          request.headers = {{"content-type", "application/xml"}};
          return sign(std::move(request), hash);
        },
        stop);
    // A completion may fail behind a status of 200, and one that was repeated finds nothing left to
    // complete. What counts is whether the object is there.
    const bool done =
        completed.response.ok() && !xml_text(util::as_text(completed.response.body), "Code");
    if (done) return true;
    const std::optional<ObjectInfo> info = store.stat(upload.key, stop);
    if (completed.attempts > 1 && info && info->size == upload.content.size()) return true;
    throw store.error_of(what, completed.response);
  } catch (...) {
    try {  // parts cost money until they are given up
      store.send(
          [&] {
            return sign({.method = "DELETE", .url = cat(url, "?uploadId=", id)}, empty_hash());
          },
          stop);
    } catch (const Error&) {
      // The bucket's rule for incomplete uploads removes them.
    }
    throw;
  }
}

// A bucket whose objects are locked against removal.
class LockingStore final : public ObjectStore {
 public:
  LockingStore(std::unique_ptr<S3Service> service, const http::ClientOptions& client)
      : service_(*service), store_(std::move(service), client) {}

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    store_.put(key, content, std::move(stop));
  }
  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    return store_.put_new(key, content, std::move(stop));
  }
  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    return store_.get(key, range, std::move(stop));
  }
  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    return store_.stat(key, std::move(stop));
  }
  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    store_.list(prefix, each, std::move(stop));
  }
  unsigned parallel_puts() const override { return store_.parallel_puts(); }
  std::string describe() const override { return store_.describe(); }

  bool locks() const override { return true; }

  void lock(const std::string& key, std::stop_token stop) override {
    check_key(key);
    const S3Settings& settings = service_.settings();
    const util::TimePoint until = service_.now() + std::chrono::hours(24 * settings.lock_days);
    const std::string document =
        cat("<Retention><Mode>", settings.lock_mode, "</Mode><RetainUntilDate>",
            util::format_rfc3339(std::chrono::floor<util::Seconds>(until)),
            "</RetainUntilDate></Retention>");
    store_.require(
        cat("cannot lock ", key, " in ", describe()),
        [&] { return service_.retain(name_of(key), document); }, stop);
  }

  std::optional<util::TimePoint> locked_until(const std::string& key,
                                              std::stop_token stop) override {
    const http::Response head = newest(key, stop);
    return head.status == 404 ? std::nullopt : lock_of(head);
  }

  void remove(const std::string& key, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    // One version after the other, until the name is free.
    while (true) {
      const http::Response head = newest(key, stop);
      if (head.status == 404) return;
      const std::string what = cat("cannot remove ", key, " from ", describe());
      if (const auto until = lock_of(head)) {
        throw Error(ErrorCode::refused,
                    cat(what, ": it is locked until ", util::format_rfc3339(*until)),
                    "it can be removed when its lock has ended");
      }
      const std::string version(head.header("x-amz-version-id"));
      if (version.empty()) {
        store_.remove(key, stop);
        return;
      }
      const http::Response removed =
          store_.send([&] { return service_.remove_version(name_of(key), version); }, stop)
              .response;
      if (!removed.ok() && removed.status != 404) throw store_.error_of(what, removed);
    }
  }

 private:
  http::Response newest(const std::string& key, const std::stop_token& stop) {
    http::Response head = store_.send([&] { return service_.head(name_of(key)); }, stop).response;
    if (head.ok() || head.status == 404) return head;
    throw store_.error_of(cat("cannot look at ", key, " in ", describe()), head);
  }

  std::optional<util::TimePoint> lock_of(const http::Response& head) const {
    const auto until = util::parse_time(head.header("x-amz-object-lock-retain-until-date"));
    return until && *until > service_.now() ? until : std::nullopt;
  }

  std::string name_of(const std::string& key) const { return service_.prefix() + key; }

  S3Service& service_;  // owned by store_
  CloudStore store_;
};

S3Settings settings_of(const std::string& text, OptionReader& options) {
  const Url url = parse_store_url(text);
  S3Settings settings;
  settings.bucket = url.host;
  settings.prefix = key_prefix_of(url.path);
  settings.name = cat("s3://", url.host, url.path);
  if (url.host.empty() || !url.user.empty() ||
      url.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos) {
    throw Error(ErrorCode::usage, "an S3 URL names a bucket: s3://bucket/prefix",
                "a server of your own is named by the option endpoint");
  }
  settings.region = options.text("region").value_or("us-east-1");
  const auto endpoint = options.endpoint();
  // AWS wants the bucket in the host's name; servers of one's own seldom have such names.
  const bool path_style = options.flag("path_style", endpoint.has_value());
  const std::string address =
      endpoint.value_or(cat("https://s3.", settings.region, ".amazonaws.com"));
  if (path_style) {
    settings.base = cat(address, "/", url.host);
  } else {
    const std::size_t host = address.find("://") + 3;
    settings.base = cat(address.substr(0, host), url.host, ".", address.substr(host));
  }
  settings.credentials.access_key = options.text("access_key").value_or("");
  settings.credentials.secret_key = options.secret("secret_key");
  settings.credentials.session_token = options.secret("session_token");
  settings.credentials_file = options.text("credentials_file").value_or("");
  settings.profile = options.text("profile").value_or("default");
  settings.storage_class = options.text("storage_class").value_or("");
  settings.encryption =
      options.choice("encryption", {"AES256", "aws:kms", "aws:kms:dsse"}).value_or("");
  settings.kms_key = options.text("encryption_kms_id").value_or("");
  settings.lock_days = options.number("object_lock_days", 1, 36500).value_or(0);
  settings.lock_mode =
      options.choice("object_lock_mode", {"GOVERNANCE", "COMPLIANCE"}).value_or("GOVERNANCE");
  const bool has_keys =
      !settings.credentials.access_key.empty() && !settings.credentials.secret_key.empty();
  if (has_keys == !settings.credentials_file.empty()) {
    throw Error(ErrorCode::usage,
                "S3 storage needs the options access_key and secret_key, or credentials_file",
                "for example: --option access_key=ID --option secret_key=@FILE");
  }
  return settings;
}

}  // namespace

std::unique_ptr<ObjectStore> open_s3_store(const std::string& url, const StoreOptions& options) {
  OptionReader reader(options, "S3 storage");
  S3Settings settings = settings_of(url, reader);
  const http::ClientOptions client = reader.client();
  reader.refuse_the_rest();
  const bool locking = settings.lock_days > 0;
  auto service = std::make_unique<S3Service>(std::move(settings));
  if (locking) return std::make_unique<LockingStore>(std::move(service), client);
  return std::make_unique<CloudStore>(std::move(service), client);
}

}  // namespace dbbackup::storage
