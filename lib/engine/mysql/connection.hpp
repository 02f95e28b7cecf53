// One session with a MySQL or MariaDB server, and the way a stop request ends what it does.
//
// The client library blocks; a running statement ends early only when the server is told on another
// connection (KILL QUERY). A Canceller waits for the stop request and then tells the server about
// every connection registered with it, again and again until they are gone, because a KILL QUERY
// between two statements has no effect. A server that does not answer has its sockets shut down.
//
// Threads: a Connection belongs to one thread at a time; Canceller is safe from any thread.
// Owns: the client library's handle. Errors: permission_denied, not_found, unavailable (server
// away, lock waits, tables changed meanwhile), conflict (duplicate keys), no_space, source_damaged,
// cancelled, io.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "engine/mysql/login.hpp"
#include "util/error.hpp"
#include "util/task.hpp"

struct st_mysql;

namespace dbbackup::engine::mysql {

using Row = std::vector<std::optional<std::string>>;

class Canceller;

// Everything needed to open connections to one server.
struct Door {
  Login login;
  std::string password;
  std::shared_ptr<Canceller> canceller;  // may be null: connections that nothing interrupts
};

class Connection {
 public:
  // `database` may be empty. The session is in UTC, utf8mb4 towards the server and unconverted
  // bytes back, no SQL mode, no limits of time.
  Connection(const Door& door, const std::string& database);
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection&&) = delete;

  void execute(const std::string& sql);
  std::vector<Row> query(const std::string& sql);
  // The first field of the first row.
  std::optional<std::string> value(const std::string& sql);
  // For settings that not every server knows: false when the server refuses.
  bool try_execute(const std::string& sql);

  // LOAD DATA LOCAL: `fill` writes at most `size` bytes and returns how many; 0 ends the data.
  void load(const std::string& sql,
            const std::function<std::size_t(char* buffer, std::size_t size)>& fill);

  unsigned warning_count() const;
  // SHOW WARNINGS, one sentence each; at most the server's max_error_count.
  std::vector<std::string> warnings();

  std::uint64_t id() const;
  std::string server_version() const;
  std::string tls_cipher() const;  // empty: not encrypted
  bool local() const { return local_; }
  st_mysql* handle() const { return handle_.get(); }
  bool stopped() const;

  // The library's latest error as ours. `doing` may be empty.
  [[noreturn]] void fail(std::string_view doing) const;

 private:
  struct Close {
    void operator()(st_mysql* handle) const;
  };
  void dial(const Door& door, const std::string& database, bool tls);
  void send(const std::string& sql);

  std::shared_ptr<Canceller> canceller_;
  std::unique_ptr<st_mysql, Close> handle_;
  // Declared last: a connection leaves the canceller's list before its socket is closed.
  std::shared_ptr<void> registration_;
  bool local_ = false;
};

class Canceller {
 public:
  Canceller(Login login, std::string password, std::stop_token stop);
  ~Canceller();
  bool stopped() const { return stop_.stop_requested(); }
  void add(std::uint64_t id, int socket);
  void remove(std::uint64_t id);

 private:
  void watch(const std::stop_token& end);
  void kill_all(unsigned round);

  const Door door_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<std::uint64_t, int> sockets_;  // by connection id
  std::jthread thread_;
};

// An error code of the server or the client library as ours, with the hint that belongs to it.
util::Error server_error(unsigned number, std::string message, bool stopped);

std::string quote_name(std::string_view name);  // `name`
std::string quote_text(std::string_view text);  // 'text', for sessions without SQL modes

}  // namespace dbbackup::engine::mysql
