// HTTP as the rest of the house needs it: one blocking call that sends a request and returns the
// response, whatever its status; and a second one that repeats it by policy until it is settled.
//
// The problem with repeating: a request that is signed carries its time, and a body that streams is
// spent after the first attempt. So whoever wants repetition hands in a function that makes the
// request, and it is called anew for each attempt.
//
// Time limits go by progress: a transfer may take as long as it moves. A bandwidth limit is shared
// by everybody who shares the RateLimit.
//
// Threads: Client is safe from any thread; each call uses a connection of its own from a pool,
// which keeps them open for the next call. Owns: the connections. Errors: unavailable (no
// connection, broken, truncated), timed_out (no progress), cancelled, permission_denied (the
// server's certificate is not trusted), io. Messages name the host, never the query or a header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/rate_limit.hpp"
#include "util/bytes.hpp"
#include "util/error.hpp"
#include "util/time.hpp"

namespace dbbackup::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A body that is made while it is sent. `read` fills the buffer with what begins at `offset` and
// returns how much that is; it may be asked for an earlier offset again when a connection broke.
struct BodySource {
  std::uint64_t size = 0;
  std::function<std::size_t(std::uint64_t offset, std::span<std::uint8_t> buffer)> read;
};

struct Request {
  std::string method = "GET";
  std::string url = {};  // encoded
  Headers headers = {};
  util::ByteView body = {};                         // outlives the call
  std::optional<BodySource> source = std::nullopt;  // instead of `body`
  // Over a new connection. libcurl silently sends a request again when a connection from the pool
  // turns out to be dead; one that must not be done twice unnoticed asks for this.
  bool fresh_connection = false;
  // Takes the body of a 2xx response in pieces; without it the body is collected.
  std::function<void(util::ByteView)> sink = {};
};

struct Response {
  int status = 0;
  Headers headers;  // names in lower case
  util::Bytes body;

  bool ok() const { return status >= 200 && status < 300; }
  // Empty when there is none.
  std::string_view header(std::string_view name) const;
  // The server's clock, from its Date header.
  std::optional<util::TimePoint> date() const;
};

struct ClientOptions {
  util::Milliseconds connect_timeout{15000};
  util::Milliseconds stall_timeout{60000};  // without a single byte in either direction
  std::string ca_file = {};                 // instead of the system's certificates
  std::shared_ptr<RateLimit> upload_limit = nullptr;
  std::shared_ptr<RateLimit> download_limit = nullptr;
};

struct RetryPolicy {
  unsigned attempts = 8;
  util::Milliseconds first_delay{250};  // doubled each time; half of it is left to chance
  util::Milliseconds longest_delay{20000};
};

class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Any status is a response.
  Response send(const Request& request, const std::stop_token& stop);

 private:
  class Transfer;
  struct Handle;
  struct HandleDelete {
    void operator()(Handle* handle) const;
  };
  std::unique_ptr<Handle, HandleDelete> take();
  void give_back(std::unique_ptr<Handle, HandleDelete> handle);

  const ClientOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle, HandleDelete>> idle_;
};

// Whether the same request may fare better later: 408, 429, 500, 502, 503, 504.
bool is_passing(int status);

// What sending took. `attempts` > 1: an earlier attempt may have had its effect all the same.
struct Settled {
  Response response;
  unsigned attempts = 1;
};
// Sends what `make` makes until the response is not a passing failure or the policy is exhausted;
// waits in between as the policy or the server's Retry-After says. The last passing failure is
// returned, the last broken connection thrown.
// Errors: those of send().
Settled send(Client& client, const RetryPolicy& policy, const std::function<Request()>& make,
             const std::stop_token& stop);

// Repeats `work` while it fails with unavailable or timed_out. Returns the number of attempts.
unsigned repeat(const RetryPolicy& policy, const std::stop_token& stop,
                const std::function<void()>& work);

// Everything but unreserved characters is encoded (Source: RFC 3986 section 2.3). With
// `keep_slashes` slashes stay.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

// Source: RFC 9110 section 5.6.7, the preferred form only: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string format_http_date(util::TimePoint time);
std::optional<util::TimePoint> parse_http_date(std::string_view text);

}  // namespace dbbackup::http
