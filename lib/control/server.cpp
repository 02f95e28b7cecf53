// The control socket's server.
//
// Everything of a connection happens on the event loop except its handler, which runs on the pool
// and meets the loop at two places: the queue of lines to send, under a mutex, and finished(),
// which is posted. So reading needs no lock, and a handler that blocks in notify() blocks nobody
// else.
//
// While a handler runs nothing is read. That is the back-pressure for clients that send requests
// ahead, and it leaves the question how a disconnect is noticed: by waiting for POLLHUP, which the
// kernel raises when the other end is closed, but not when it was only shut down for writing, as
// `echo ... | socat` does before it reads the answer.
#include "control/server.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "control/dispatcher.hpp"
#include "control/event_loop_impl.hpp"
#include "control/peer.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

namespace asio = boost::asio;
using boost::system::error_code;
using util::cat;
using util::Error;
using util::ErrorCode;
using Socket = asio::local::stream_protocol::socket;

namespace {

constexpr std::size_t kReadBytes = 16U << 10U;
// What may wait for a client before notify() blocks.
constexpr std::size_t kQueueBytes = 1U << 20U;
// Pause after a failed accept: without descriptors the next one would fail at once, for ever.
constexpr std::chrono::milliseconds kAcceptPause{100};

// Counts handlers on the pool. Shared with them, so that the last one may outlive the server by an
// instant.
class Handling {
 public:
  void begin() {
    const std::scoped_lock lock(mutex_);
    ++count_;
  }
  void end() {
    const std::scoped_lock lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void wait_for_none() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

// A timer that can be set again at any time: only its last setting counts.
class Deadline {
 public:
  explicit Deadline(asio::io_context& context) : timer_(context) {}

  template <typename Work>
  void set(std::chrono::milliseconds delay, Work work) {
    timer_.expires_after(delay);
    timer_.async_wait([this, setting = ++setting_, work](const error_code& error) {
      // `work` keeps the owner of this object alive.
      if (!error && setting == setting_) work();
    });
  }
  void clear() {
    ++setting_;
    timer_.cancel();
  }

 private:
  asio::steady_timer timer_;
  std::uint64_t setting_ = 0;
};

bool is_hung_up(int fd) {
  pollfd state{fd, 0, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

// A last line to a client that gets no session. A fresh socket has room for it.
void send_at_once(Socket& socket, std::string_view line) {
  ::send(socket.native_handle(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

class Connection;

// What all connections share.
struct Common {
  asio::io_context& context;
  WorkerPool& pool;
  Dispatcher dispatcher;
  Authorise authorise;
  ServerLimits limits;
  util::Logger log;
  std::shared_ptr<Handling> handling = std::make_shared<Handling>();
  // On the loop only.
  std::set<std::shared_ptr<Connection>> connections{};
  bool stopping = false;
};

class Connection final : public Session, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Common> common, Socket socket, Caller caller)
      : common_(std::move(common)),
        socket_(std::move(socket)),
        caller_(std::move(caller)),
        input_deadline_(common_->context),
        output_deadline_(common_->context) {}

  // --- for handlers, from any thread
  const Caller& caller() const override { return caller_; }
  std::stop_token gone() const override { return gone_.get_token(); }
  bool notify(std::string_view method, const util::json::Object& params) override {
    std::string line = notification_line(method, params);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return queued_bytes_ < kQueueBytes || gone_.stop_requested(); });
    if (gone_.stop_requested()) return false;
    queue(std::move(line));
    return true;
  }

  // --- on the loop
  void start() {
    watch_for_hangup();
    next_request();
  }

  void tell_gone() {
    gone_.request_stop();
    const std::scoped_lock lock(mutex_);
    changed_.notify_all();
  }

  // Sends what the client takes at once and closes.
  void flush_and_close() {
    if (!socket_.is_open()) return;
    std::string rest;
    if (writing_.empty()) {  // else a write is on its way, and how far it came is not known
      const std::scoped_lock lock(mutex_);
      for (const std::string& line : lines_) rest += line;
    }
    send_at_once(socket_, rest);
    close();
  }

 private:
  void watch_for_hangup() {
    socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const error_code& error) {
      if (error || !self->socket_.is_open()) return;
      if (is_hung_up(self->socket_.native_handle())) return self->close();
      self->watch_for_hangup();
    });
  }

  // Takes a whole line from what was read, or reads on.
  void next_request() {
    const std::size_t end = input_.find('\n', scanned_);
    scanned_ = input_.size();
    if (std::min(end, input_.size()) > common_->limits.line_bytes) {
      return end_with(ErrorCode::usage,
                      cat("a request is longer than ", common_->limits.line_bytes, " bytes"));
    }
    if (end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      scanned_ = 0;
      line_begun_ = false;
      return handle(std::move(line));
    }
    if (at_end_) {
      if (!input_.empty()) return end_with(ErrorCode::usage, "the last request has no line end");
      return close_when_sent();
    }
    set_input_deadline();
    read();
  }

  void set_input_deadline() {
    if (input_.empty()) {
      input_deadline_.set(common_->limits.idle,
                          [self = shared_from_this()] { self->close_when_sent(); });
    } else if (!std::exchange(line_begun_, true)) {
      input_deadline_.set(common_->limits.line, [self = shared_from_this()] {
        self->end_with(ErrorCode::timed_out, "a request line took too long");
      });
    }
  }

  void read() {
    socket_.async_read_some(
        asio::buffer(read_buffer_),
        [self = shared_from_this()](const error_code& error, std::size_t bytes) {
          if (error && error != asio::error::eof) return self->close();
          if (self->ending_) return;
          self->at_end_ = error == asio::error::eof;
          self->input_.append(self->read_buffer_.data(), bytes);
          self->next_request();
        });
  }

  void handle(std::string line) {
    input_deadline_.clear();
    if (common_->stopping) return;
    handling_ = true;
    common_->handling->begin();
    common_->pool.post([self = shared_from_this(), line = std::move(line)]() mutable {
      const auto handling = self->common_->handling;
      auto& context = self->common_->context;
      self->answer(line);
      // The last reference goes through the loop: only there may a connection be destroyed.
      asio::post(context, [self = std::move(self)] { self->finished(); });
      handling->end();
    });
  }

  // On the pool.
  void answer(const std::string& line) {
    // Looked up here because name services may block, and once.
    if (caller_.user.empty()) caller_.user = user_name(caller_.uid);
    std::string reply = common_->dispatcher.answer(line, *this);
    const std::scoped_lock lock(mutex_);
    queue(std::move(reply));
  }

  void finished() {
    handling_ = false;
    if (!socket_.is_open()) {
      forget();
    } else if (!common_->stopping) {
      next_request();
    }
  }

  // Answers what is wrong with the connection itself, and ends it.
  void end_with(ErrorCode code, const std::string& message) {
    {
      const std::scoped_lock lock(mutex_);
      queue(refusal_line({nullptr,
                          code == ErrorCode::usage ? kInvalidRequest : util::traits(code).wire_code,
                          Error(code, message)}));
    }
    close_when_sent();
  }

  void close_when_sent() {
    ending_ = true;
    input_deadline_.clear();
    std::unique_lock lock(mutex_);
    const bool sent = !sending_;
    lock.unlock();
    if (sent) close();
  }

  // Requires: mutex_ is held.
  void queue(std::string line) {
    queued_bytes_ += line.size();
    lines_.push_back(std::move(line));
    if (std::exchange(sending_, true)) return;
    asio::post(common_->context, [self = shared_from_this()] { self->send_next(); });
  }

  void send_next() {
    {
      const std::scoped_lock lock(mutex_);
      queued_bytes_ -= writing_.size();
      writing_.clear();
      written_ = 0;
      changed_.notify_all();
      for (const std::string& line : std::exchange(lines_, {})) writing_ += line;
      sending_ = !writing_.empty();
    }
    if (writing_.empty()) {
      output_deadline_.clear();
      if (ending_) close();
      return;
    }
    send();
  }

  void send() {
    if (!socket_.is_open()) return;
    // Set again after each piece: a slow reader is fine, one that reads nothing is not.
    output_deadline_.set(common_->limits.idle, [self = shared_from_this()] { self->close(); });
    socket_.async_write_some(
        asio::buffer(writing_) + written_,
        [self = shared_from_this()](const error_code& error, std::size_t bytes) {
          if (error) return self->close();
          self->written_ += bytes;
          if (self->written_ < self->writing_.size()) return self->send();
          self->send_next();
        });
  }

  void close() {
    if (!socket_.is_open()) return;
    error_code ignored;
    socket_.close(ignored);
    input_deadline_.clear();
    output_deadline_.clear();
    tell_gone();
    // A handler that has not noticed yet still counts as a connection: it holds a thread.
    if (!handling_) forget();
  }

  void forget() { common_->connections.erase(shared_from_this()); }

  const std::shared_ptr<Common> common_;
  Socket socket_;
  Caller caller_;
  std::stop_source gone_;

  // On the loop only.
  std::array<char, kReadBytes> read_buffer_{};
  std::string input_;        // read and not handled yet
  std::size_t scanned_ = 0;  // of input_, without a line end
  bool line_begun_ = false;  // the deadline is that of a line
  bool at_end_ = false;      // the client sends no more
  bool handling_ = false;    // a handler runs
  bool ending_ = false;      // close when everything is sent
  std::string writing_;      // being sent
  std::size_t written_ = 0;  // of writing_
  Deadline input_deadline_;
  Deadline output_deadline_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;  // to be sent after writing_
  std::size_t queued_bytes_ = 0;    // in lines_ and writing_
  bool sending_ = false;
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(EventLoop& event_loop, std::shared_ptr<Common> shared, util::UniqueFd listener)
      : loop(event_loop),
        common(std::move(shared)),
        acceptor(common->context),
        accept_pause(common->context) {
    acceptor.assign(asio::local::stream_protocol(), listener.get());
    listener.release();
  }

  void accept() {
    acceptor.async_accept([self = shared_from_this()](const error_code& error, Socket socket) {
      if (self->common->stopping) return;
      if (error) {
        self->common->log.warn(cat("cannot accept a connection: ", error.message()));
        return self->accept_pause.set(kAcceptPause, [self] { self->accept(); });
      }
      self->admit(std::move(socket));
      self->accept();
    });
  }

  void admit(Socket socket) {
    try {
      Caller caller = caller_of(socket);
      auto connection = std::make_shared<Connection>(common, std::move(socket), std::move(caller));
      common->connections.insert(connection);
      connection->start();
    } catch (...) {
      const Error error = util::current_error();
      common->log.warn(cat("connection refused: ", error.message()));
      send_at_once(socket, error_line(nullptr, error));
    }
  }

  // Errors: unavailable, when there are too many; not_authorised.
  Caller caller_of(Socket& socket) const {
    if (common->connections.size() >= common->limits.connections) {
      throw Error(ErrorCode::unavailable, "too many connections to the daemon",
                  "try again when others have ended");
    }
    const Peer peer = peer_of(socket.native_handle());
    const auto access = common->authorise(peer.uid, peer.groups);
    if (!access) {
      throw Error(ErrorCode::not_authorised, cat("user ", peer.uid, " may not use this daemon"),
                  "an administrator can add the user or a group to `access` in the configuration");
    }
    return {peer.uid, peer.gid, peer.pid, "", *access};
  }

  void stop() {
    loop.impl().execute([this] {
      common->stopping = true;
      error_code ignored;
      acceptor.close(ignored);
      accept_pause.clear();
      for (const auto& connection : common->connections) connection->tell_gone();
    });
    common->handling->wait_for_none();
    loop.impl().execute([this] {
      for (const auto& connection : std::exchange(common->connections, {})) {
        connection->flush_and_close();
      }
    });
  }

  EventLoop& loop;
  const std::shared_ptr<Common> common;
  asio::local::stream_protocol::acceptor acceptor;
  Deadline accept_pause;
};

Server::Server(EventLoop& loop, WorkerPool& handler_pool, util::UniqueFd listener,
               Handlers handlers, Authorise authorise, Audit audit, ServerLimits limits,
               util::Logger log) {
  auto common = std::make_shared<Common>(Common{
      *loop.impl().context, handler_pool, Dispatcher(std::move(handlers), std::move(audit), log),
      std::move(authorise), limits, log});
  impl_ = std::make_shared<Impl>(loop, std::move(common), std::move(listener));
  loop.impl().execute([impl = impl_] { impl->accept(); });
}

Server::~Server() { stop(); }

void Server::stop() { impl_->stop(); }

}  // namespace dbbackup::control
