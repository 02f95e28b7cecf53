#include "control/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <utility>

#include "control/address.hpp"
#include "control/wire.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::control {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr int kAskEveryMs = 200;
// For connecting to and sending to a daemon that hangs; a living one takes both at once.
constexpr timeval kSendTimeout{10, 0};
constexpr const char* kUnreachableHint =
    "see `systemctl status dbbackupd`, or name another socket with --socket";

Error unreachable(std::string message) {
  return {ErrorCode::daemon_unreachable, std::move(message), kUnreachableHint};
}

util::UniqueFd open_socket(const std::string& path) {
  const UnixAddress address(path);
  util::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) throw util::system_error("cannot create a socket", errno);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  int status = 0;
  do {
    status = ::connect(fd.get(), address.get(), UnixAddress::size());
  } while (status != 0 && errno == EINTR);
  if (status == 0) return fd;

  switch (errno) {
    case EACCES:
    case EPERM:
      throw Error(ErrorCode::not_authorised, cat("you may not open the socket ", path),
                  "an administrator can add you to the socket's group");
    case ENOENT:
    case ENOTDIR:
      throw unreachable(cat("no daemon at ", path));
    case EAGAIN:
      throw unreachable(cat("the daemon at ", path, " does not answer"));
    default:
      throw unreachable(cat("no daemon answers at ", path));
  }
}

}  // namespace

struct Client::Impl {
  explicit Impl(const std::string& socket_path) : path(socket_path), fd(open_socket(path)) {}

  void reconnect() {
    buffer.clear();
    fd = open_socket(path);
  }

  // Errors: daemon_unreachable. A connection that the daemon closed is fine here: its reason is
  // there to be read.
  void send(std::string_view line) const {
    while (!line.empty()) {
      const ssize_t sent = ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
      if (sent < 0) throw unreachable(cat("the daemon at ", path, " takes no request"));
      line.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // The next line, or empty when `keep_waiting` said no.
  std::optional<std::string> next_line(const KeepWaiting& keep_waiting) {
    for (;;) {
      const std::size_t end = buffer.find('\n', scanned);
      scanned = buffer.size();
      if (end != std::string::npos) {
        std::string line = buffer.substr(0, end);
        buffer.erase(0, end + 1);
        scanned = 0;
        return line;
      }
      if (!wait_readable(keep_waiting)) return std::nullopt;
      char chunk[16384];
      const ssize_t bytes = ::recv(fd.get(), chunk, sizeof chunk, 0);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0) {
        throw unreachable(cat("the daemon at ", path, " closed the connection before it answered"));
      }
      buffer.append(chunk, static_cast<std::size_t>(bytes));
    }
  }

  bool wait_readable(const KeepWaiting& keep_waiting) const {
    for (;;) {
      if (keep_waiting && !keep_waiting()) return false;
      pollfd state{fd.get(), POLLIN, 0};
      const int ready = ::poll(&state, 1, keep_waiting ? kAskEveryMs : -1);
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR)
        throw util::system_error("cannot wait for the daemon", errno);
    }
  }

  json::Object message_of(const std::string& line) const {
    try {
      json::Value value = json::parse(line);
      if (value.is_object()) return std::move(value.get_object());
    } catch (const Error&) {
      // Said below, with the name of whoever answered.
    }
    throw unreachable(cat("what answers at ", path, " is not dbbackupd"));
  }

  // The reply to request `id`; empty when the caller detached.
  std::optional<json::Value> reply_to(std::int64_t id, const OnNotification& on_notification,
                                      const KeepWaiting& keep_waiting) {
    while (const auto line = next_line(keep_waiting)) {
      const json::Object message = message_of(*line);
      if (const auto method = json::get_string(message, "method")) {
        const json::Object* params = json::get_object(message, "params");
        if (on_notification && params && !on_notification(*method, *params)) return std::nullopt;
        continue;
      }
      // An error without an id is about the connection: not authorised, too many, too slow.
      const json::Object* error = json::get_object(message, "error");
      const auto answered = json::get_int(message, "id");
      if (error != nullptr && (!answered || answered == id)) throw error_from_wire(*error);
      if (const json::Value* result = message.if_contains("result"); result && answered == id) {
        return *result;
      }
      throw unreachable(cat("what answers at ", path, " is not dbbackupd"));
    }
    return std::nullopt;
  }

  std::string path;
  util::UniqueFd fd;
  std::string buffer;
  std::size_t scanned = 0;  // of buffer, without a line end
  std::int64_t last_id = 0;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Client Client::connect(const std::string& socket_path) {
  return Client(std::make_unique<Impl>(socket_path));
}

json::Value Client::call(std::string_view method, const json::Object& params,
                         const OnNotification& on_notification, const KeepWaiting& keep_waiting) {
  if (!impl_->fd.valid()) impl_->reconnect();
  const std::int64_t id = ++impl_->last_id;
  try {
    impl_->send(request_line(id, method, params));
    if (auto result = impl_->reply_to(id, on_notification, keep_waiting)) return *result;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::daemon_unreachable) impl_->fd.reset();
    throw;
  }
  impl_->fd.reset();
  return nullptr;
}

}  // namespace dbbackup::control
