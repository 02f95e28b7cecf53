#include "http/client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>

#include "util/text.hpp"

namespace dbbackup::http {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

// What one call of a transfer function may move under a bandwidth limit, so that the limit is met
// smoothly.
constexpr std::size_t kLimitedSlice = std::size_t{32} << 10U;
constexpr long kUploadBuffer = 512L << 10U;
constexpr long kDownloadBuffer = 256L << 10U;
constexpr std::size_t kMostIdle = 16;
constexpr std::size_t kMostReserved = std::size_t{256} << 20U;
// An error page is read for its message only.
constexpr std::size_t kMostOfAnError = std::size_t{1} << 20U;

void initialise() {
  static const CURLcode status = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (status != CURLE_OK) throw Error(ErrorCode::internal, "libcurl cannot be initialised");
}

// For messages: scheme and host, nothing that could be a secret.
std::string host_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  std::string host = url.substr(0, std::min(url.find_first_of("/?#", begin), url.size()));
  const std::size_t at = host.find('@', begin);
  if (at != std::string::npos) host.erase(begin, at + 1 - begin);
  return host;
}

struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

struct Client::Handle {
  CURL* curl = nullptr;
};

void Client::HandleDelete::operator()(Handle* handle) const {
  curl_easy_cleanup(handle->curl);
  delete handle;
}

// One request on its way. The callbacks throw nothing: what goes wrong in them is kept and thrown
// when libcurl has returned.
class Client::Transfer {
 public:
  Transfer(CURL* curl, const ClientOptions& options, const Request& request,
           const std::stop_token& stop)
      : curl_(curl), options_(options), request_(request), stop_(stop) {}

  Response run() {
    configure();
    const CURLcode code = curl_easy_perform(curl_);
    if (failure_) throw *failure_;
    if (stop_.stop_requested()) throw cancelled();
    if (code != CURLE_OK) throw error_of(code);
    return std::move(response_);
  }

 private:
  template <typename T>
  void set(CURLoption option, T value) {
    if (curl_easy_setopt(curl_, option, value) != CURLE_OK) {
      throw Error(ErrorCode::internal, cat("libcurl refuses option ", static_cast<long>(option)));
    }
  }

  void configure() {
    curl_easy_reset(curl_);
    error_text_[0] = '\0';
    set(CURLOPT_ERRORBUFFER, error_text_);
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_BUFFERSIZE, kDownloadBuffer);
    set(CURLOPT_UPLOAD_BUFFERSIZE, kUploadBuffer);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME,
        std::max(1L, static_cast<long>(options_.stall_timeout.count() / 1000)));
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    if (request_.fresh_connection) set(CURLOPT_FRESH_CONNECT, 1L);
    configure_body();
    configure_headers();
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
  }

  void configure_body() {
    const std::uint64_t size = request_.source ? request_.source->size : request_.body.size();
    if (request_.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (request_.method == "PUT" || request_.method == "POST" || size > 0) {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
      set(CURLOPT_READFUNCTION, &Transfer::on_read);
      set(CURLOPT_READDATA, static_cast<void*>(this));
      set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
      set(CURLOPT_SEEKDATA, static_cast<void*>(this));
      set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    } else {
      set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
  }

  void configure_headers() {
    // An Expect that a server does not answer costs a second for each object.
    add_header("Expect:");
    for (const auto& [name, value] : request_.headers) {
      // libcurl's spelling of a header without a value is a semicolon.
      add_header(value.empty() ? cat(name, ";") : cat(name, ": ", value));
    }
    set(CURLOPT_HTTPHEADER, headers_.get());
  }

  void add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  }

  static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->guarded(CURL_READFUNC_ABORT, [&](Transfer& transfer) {
      return transfer.read({reinterpret_cast<std::uint8_t*>(buffer), size * count});
    });
  }

  std::size_t read(std::span<std::uint8_t> buffer) {
    if (options_.upload_limit) {
      buffer = buffer.first(std::min(buffer.size(), kLimitedSlice));
    }
    std::size_t size = 0;
    if (request_.source) {
      size = request_.source->read(sent_, buffer);
    } else {
      size = std::min(buffer.size(), request_.body.size() - static_cast<std::size_t>(sent_));
      if (size > 0) std::memcpy(buffer.data(), request_.body.data() + sent_, size);
    }
    sent_ += size;
    if (options_.upload_limit) options_.upload_limit->take(size, stop_);
    return size;
  }

  static int on_seek(void* self, curl_off_t offset, int origin) {
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Transfer*>(self)->sent_ = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
  }

  static std::size_t on_header(char* line, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->guarded(0, [&](Transfer& transfer) {
      transfer.take_header({line, size * count});
      return size * count;
    });
  }

  void take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // the final response, or one of those before it (100, 103)
      response_.headers.clear();
      return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    response_.headers.emplace_back(util::to_lower(line.substr(0, colon)),
                                   util::trim(line.substr(colon + 1)));
  }

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->guarded(0, [&](Transfer& transfer) {
      transfer.take_body({reinterpret_cast<const std::uint8_t*>(data), size * count});
      return size * count;
    });
  }

  void take_body(util::ByteView piece) {
    read_status();
    if (options_.download_limit) options_.download_limit->take(piece.size(), stop_);
    if (response_.ok() && request_.sink) {
      request_.sink(piece);
      return;
    }
    util::Bytes& body = response_.body;
    if (!response_.ok() && body.size() + piece.size() > kMostOfAnError) return;
    if (body.empty()) {
      curl_off_t size = 0;
      curl_easy_getinfo(curl_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
      if (size > 0) body.reserve(std::min(static_cast<std::size_t>(size), kMostReserved));
    }
    body.insert(body.end(), piece.begin(), piece.end());
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->stop_.stop_requested() ? 1 : 0;
  }

  template <typename Work>
  std::size_t guarded(std::size_t failed, const Work& work) noexcept {
    try {
      return work(*this);
    } catch (...) {
      failure_ = util::current_error();
      return failed;
    }
  }

  void read_status() {
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
  }

  Error cancelled() const {
    return {ErrorCode::cancelled,
            cat("the transfer with ", host_of(request_.url), " was cancelled")};
  }

  Error error_of(CURLcode code) const {
    const std::string what = cat("cannot reach ", host_of(request_.url), ": ",
                                 error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code));
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT:
        return {ErrorCode::timed_out, what};
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        return {
            ErrorCode::permission_denied, what,
            "the server's certificate is not trusted; name its authority with the option ca_file"};
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_COULDNT_CONNECT:
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_PARTIAL_FILE:
      case CURLE_GOT_NOTHING:
      case CURLE_SEND_ERROR:
      case CURLE_RECV_ERROR:
      case CURLE_WEIRD_SERVER_REPLY:
      case CURLE_SEND_FAIL_REWIND:
        return {ErrorCode::unavailable, what};
      case CURLE_URL_MALFORMAT:
      case CURLE_UNSUPPORTED_PROTOCOL:
        return {ErrorCode::usage, cat("not an http or https address: ", host_of(request_.url))};
      default:
        return {ErrorCode::io, what};
    }
  }

 public:
  // After run(): responses without a body have told their status to nobody yet.
  static int status_of(CURL* curl) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }

 private:
  CURL* curl_;
  const ClientOptions& options_;
  const Request& request_;
  const std::stop_token& stop_;
  std::unique_ptr<curl_slist, ListDelete> headers_;
  std::uint64_t sent_ = 0;
  Response response_;
  std::optional<Error> failure_;
  char error_text_[CURL_ERROR_SIZE] = {};
};

Client::Client(ClientOptions options) : options_(std::move(options)) { initialise(); }

Client::~Client() = default;

std::unique_ptr<Client::Handle, Client::HandleDelete> Client::take() {
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      auto handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  std::unique_ptr<Handle, HandleDelete> handle(new Handle{curl_easy_init()});
  if (handle->curl == nullptr) throw Error(ErrorCode::internal, "libcurl cannot be initialised");
  return handle;
}

void Client::give_back(std::unique_ptr<Handle, HandleDelete> handle) {
  curl_easy_reset(handle->curl);  // it points into the request
  const std::scoped_lock lock(mutex_);
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(handle));
}

Response Client::send(const Request& request, const std::stop_token& stop) {
  if (stop.stop_requested()) {
    throw Error(ErrorCode::cancelled,
                cat("the transfer with ", host_of(request.url), " was cancelled"));
  }
  auto handle = take();
  Response response = Transfer(handle->curl, options_, request, stop).run();
  response.status = Transfer::status_of(handle->curl);
  give_back(std::move(handle));
  return response;
}

std::string_view Response::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

std::optional<util::TimePoint> Response::date() const { return parse_http_date(header("date")); }

}  // namespace dbbackup::http
