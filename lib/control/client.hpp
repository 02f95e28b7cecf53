// The client's side of the control socket: one connection, blocking calls.
//
// A call that is detached from closes the connection, so that the daemon notices; the next call
// opens a new one.
//
// Threads: one call at a time per client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "util/json.hpp"

namespace dbbackup::control {

class Client {
 public:
  // Called for each notification that arrives while a call waits. Return false to detach: call()
  // then returns null.
  using OnNotification =
      std::function<bool(const std::string& method, const util::json::Object& params)>;
  // Asked at least every 200 ms while a call waits, and after each signal; return false to detach.
  using KeepWaiting = std::function<bool()>;

  // Errors: daemon_unreachable, with a hint that names systemctl and --socket; not_authorised, when
  // the socket's permissions keep the caller out.
  static Client connect(const std::string& socket_path);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Sends one request and waits for its reply.
  // Errors: what the daemon answered, as util::Error with its code, message and hint;
  // daemon_unreachable when the connection breaks.
  util::json::Value call(std::string_view method, const util::json::Object& params,
                         const OnNotification& on_notification = {},
                         const KeepWaiting& keep_waiting = {});

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbbackup::control
