#include "engine/mongodb/sockets.hpp"

#include <mongoc/mongoc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <string>
#include <vector>

#include "util/unique_fd.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using Clock = std::chrono::steady_clock;

// Unlike the numbers of the driver's own streams (mongoc-stream.h).
constexpr int kStreamType = 1001;
constexpr std::int32_t kConnectTimeoutMs = 10000;  // the driver's default

// One socket as the driver's stream; `base` comes first, so that the two pointers are one.
struct SocketStream {
  mongoc_stream_t base;
  int fd;
  Sockets* sockets;
  bool timed_out;
};

SocketStream& self(mongoc_stream_t* stream) { return *reinterpret_cast<SocketStream*>(stream); }

class Deadline {
 public:
  // Source: mongoc_stream_readv(3): a negative timeout waits for ever.
  explicit Deadline(std::int32_t milliseconds)
      : endless_(milliseconds < 0),
        immediate_(milliseconds == 0),
        at_(Clock::now() + std::chrono::milliseconds(milliseconds)) {}
  int remaining() const {
    if (endless_) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(at_ - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  bool immediate() const { return immediate_; }

 private:
  const bool endless_;
  const bool immediate_;
  const Clock::time_point at_;
};

// False, with errno set, when nothing happened in time or the wait failed.
bool wait_for(SocketStream& stream, short events, const Deadline& deadline) {
  for (;;) {
    pollfd entry{stream.fd, events, 0};
    const int ready = ::poll(&entry, 1, deadline.remaining());
    if (ready > 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    // Who does not want to wait asks again later; TLS counts on the difference.
    if (ready == 0) {
      stream.timed_out = !deadline.immediate();
      errno = deadline.immediate() ? EAGAIN : ETIMEDOUT;
    }
    return false;
  }
}

bool again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Takes `done` bytes off the front of the list.
void drop_front(std::vector<iovec>& parts, std::size_t done) {
  std::size_t first = 0;
  while (first < parts.size() && done >= parts[first].iov_len) done -= parts[first++].iov_len;
  parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(first));
  if (parts.empty()) return;
  parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + done;
  parts.front().iov_len -= done;
}

ssize_t write_parts(mongoc_stream_t* stream, mongoc_iovec_t* iov, size_t count,
                    std::int32_t timeout) {
  SocketStream& socket = self(stream);
  const Deadline deadline(timeout);
  std::vector<iovec> parts(iov, iov + count);
  ssize_t total = 0;
  drop_front(parts, 0);
  while (!parts.empty()) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = std::min<std::size_t>(parts.size(), IOV_MAX);
    const ssize_t sent = ::sendmsg(socket.fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) {
      total += sent;
      drop_front(parts, static_cast<std::size_t>(sent));
    } else if (!again() || !wait_for(socket, POLLOUT, deadline)) {
      return -1;
    }
  }
  return total;
}

// Source: mongoc_stream_readv(3): returns when min_bytes are there; 0 is the end of the stream.
ssize_t read_parts(mongoc_stream_t* stream, mongoc_iovec_t* iov, size_t count, size_t min_bytes,
                   std::int32_t timeout) {
  SocketStream& socket = self(stream);
  const Deadline deadline(timeout);
  std::vector<iovec> parts(iov, iov + count);
  ssize_t total = 0;
  drop_front(parts, 0);
  socket.timed_out = false;
  while (!parts.empty()) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = std::min<std::size_t>(parts.size(), IOV_MAX);
    const ssize_t got = ::recvmsg(socket.fd, &message, 0);
    if (got == 0) return total;
    if (got > 0) {
      total += got;
      if (static_cast<std::size_t>(total) >= min_bytes) return total;
      drop_front(parts, static_cast<std::size_t>(got));
    } else if (!again() || !wait_for(socket, POLLIN, deadline)) {
      return -1;
    }
  }
  return total;
}

ssize_t poll_streams(mongoc_stream_poll_t* streams, size_t count, std::int32_t timeout) {
  std::vector<pollfd> entries;
  for (size_t i = 0; i < count; ++i) {
    entries.push_back({self(streams[i].stream).fd, static_cast<short>(streams[i].events), 0});
  }
  const int ready = ::poll(entries.data(), entries.size(), timeout);
  for (size_t i = 0; i < count; ++i) streams[i].revents = entries[i].revents;
  return ready;
}

int close_stream(mongoc_stream_t* stream) {
  SocketStream& socket = self(stream);
  if (socket.fd >= 0) socket.sockets->close(socket.fd);
  socket.fd = -1;
  return 0;
}

void destroy_stream(mongoc_stream_t* stream) {
  close_stream(stream);
  delete &self(stream);
}

// What may be read without waiting is either data that nobody asked for, or the end.
bool is_closed(mongoc_stream_t* stream) {
  char byte = 0;
  const ssize_t got = ::recv(self(stream).fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && !again());
}

mongoc_stream_t* new_stream(int fd, Sockets& sockets) {
  auto* socket = new SocketStream{};
  socket->fd = fd;
  socket->sockets = &sockets;
  mongoc_stream_t& base = socket->base;
  base.type = kStreamType;
  base.destroy = destroy_stream;
  base.failed = destroy_stream;
  base.close = close_stream;
  base.flush = [](mongoc_stream_t*) { return 0; };
  base.writev = write_parts;
  base.readv = read_parts;
  base.setsockopt = [](mongoc_stream_t* stream, int level, int name, void* value,
                       mongoc_socklen_t size) {
    return ::setsockopt(self(stream).fd, level, name, value, size);
  };
  base.check_closed = is_closed;
  base.poll = poll_streams;
  base.timed_out = [](mongoc_stream_t* stream) { return self(stream).timed_out; };
  base.should_retry = [](mongoc_stream_t*) { return again(); };
  return &base;
}

void explain(bson_error_t* error, std::uint32_t code, const mongoc_host_list_t* host,
             const char* what) {
  bson_set_error(error, MONGOC_ERROR_STREAM, code, "%s: %s", host->host_and_port, what);
}

// True when connected; errno otherwise. The socket is in the list before it waits, so that a stop
// reaches it.
bool connect_to(int fd, const sockaddr* address, socklen_t size, const Deadline& deadline) {
  if (::connect(fd, address, size) == 0) return true;
  if (errno != EINPROGRESS) return false;
  SocketStream waiting{};
  waiting.fd = fd;
  if (!wait_for(waiting, POLLOUT, deadline)) return false;
  int result = 0;
  socklen_t length = sizeof result;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &length) != 0) return false;
  errno = result;
  return result == 0;
}

// A connected socket in the list, or -1 with errno.
int open_socket(int family, const sockaddr* address, socklen_t size, const Deadline& deadline,
                Sockets& sockets) {
  util::UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return -1;
  if (family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (!sockets.add(fd.get())) {
    errno = ECANCELED;
    return -1;
  }
  const int number = fd.release();
  if (connect_to(number, address, size, deadline)) return number;
  const int failure = errno;
  sockets.close(number);
  errno = failure;
  return -1;
}

int connect_unix(const mongoc_host_list_t* host, const Deadline& deadline, Sockets& sockets,
                 bson_error_t* error) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string_view path = host->host;
  if (path.size() >= sizeof address.sun_path) {
    explain(error, MONGOC_ERROR_STREAM_CONNECT, host, "the path of the socket is too long");
    return -1;
  }
  path.copy(address.sun_path, path.size());
  const int fd = open_socket(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address,
                             deadline, sockets);
  if (fd < 0) explain(error, MONGOC_ERROR_STREAM_CONNECT, host, std::strerror(errno));
  return fd;
}

int connect_tcp(const mongoc_host_list_t* host, const Deadline& deadline, Sockets& sockets,
                bson_error_t* error) {
  addrinfo wanted{};
  wanted.ai_family = host->family;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host->host, std::to_string(host->port).c_str(), &wanted, &found);
  if (failed != 0) {
    explain(error, MONGOC_ERROR_STREAM_NAME_RESOLUTION, host, ::gai_strerror(failed));
    return -1;
  }
  int fd = -1;
  for (const addrinfo* one = found; one != nullptr && fd < 0; one = one->ai_next) {
    fd = open_socket(one->ai_family, one->ai_addr, one->ai_addrlen, deadline, sockets);
  }
  const int failure = errno;
  ::freeaddrinfo(found);
  if (fd < 0) explain(error, MONGOC_ERROR_STREAM_CONNECT, host, std::strerror(failure));
  return fd;
}

mongoc_ssl_opt_t tls_options(const mongoc_uri_t* uri) {
  mongoc_ssl_opt_t options = *mongoc_ssl_opt_get_default();
  const auto text = [&](const char* name) {
    return mongoc_uri_get_option_as_utf8(uri, name, nullptr);
  };
  options.pem_file = text(MONGOC_URI_TLSCERTIFICATEKEYFILE);
  options.ca_file = text(MONGOC_URI_TLSCAFILE);
  const bool insecure = mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSINSECURE, false);
  options.weak_cert_validation =
      insecure || mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, false);
  options.allow_invalid_hostname =
      insecure || mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, false);
  return options;
}

// The driver's "stream initiator". Nothing in it throws but for want of memory.
mongoc_stream_t* initiate(const mongoc_uri_t* uri, const mongoc_host_list_t* host, void* user_data,
                          bson_error_t* error) {
  Sockets& sockets = *static_cast<Sockets*>(user_data);
  const std::int32_t timeout =
      mongoc_uri_get_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, kConnectTimeoutMs);
  const Deadline deadline(timeout);
  const int fd = host->family == AF_UNIX ? connect_unix(host, deadline, sockets, error)
                                         : connect_tcp(host, deadline, sockets, error);
  if (fd < 0) return nullptr;
  mongoc_stream_t* stream = new_stream(fd, sockets);
  if (mongoc_uri_get_tls(uri)) {
    mongoc_ssl_opt_t options = tls_options(uri);
    mongoc_stream_t* tls = mongoc_stream_tls_new_with_hostname(stream, host->host, &options, 1);
    if (tls == nullptr) {
      mongoc_stream_destroy(stream);
      explain(error, MONGOC_ERROR_STREAM_SOCKET, host,
              "TLS cannot be set up; are the files of the URL readable?");
      return nullptr;
    }
    if (!mongoc_stream_tls_handshake_block(tls, host->host, timeout, error)) {
      mongoc_stream_destroy(tls);
      return nullptr;
    }
    stream = tls;
  }
  // As the driver's own initiator does: replies are read header first.
  return mongoc_stream_buffered_new(stream, 1024);
}
}  // namespace

void Sockets::attach(_mongoc_client_t* client) {
  mongoc_client_set_stream_initiator(client, initiate, this);
}

void Sockets::shut_down() {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
}

bool Sockets::add(int fd) {
  const std::scoped_lock lock(mutex_);
  if (ended_) return false;
  open_.insert(fd);
  return true;
}

void Sockets::close(int fd) {
  const std::scoped_lock lock(mutex_);
  open_.erase(fd);
  ::close(fd);
}

}  // namespace dbbackup::engine::mongodb
