// The daemon's side of the control socket.
//
// The event loop reads and writes lines and never blocks; each request runs on the handler pool. A
// request that follows something (a run, the events) keeps its session and sends notifications
// until it returns or the client goes.
//
// A following request keeps its thread of the pool while it lasts. A connection has one request at
// a time, so a pool of as many threads as ServerLimits::connections never lets a short request wait
// for a long one. Sleeping threads are cheap; queues in front of short requests are not.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "control/command.hpp"
#include "control/event_loop.hpp"
#include "util/json.hpp"
#include "util/log.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::control {

// Who is calling, as the kernel says (SO_PEERCRED, SO_PEERGROUPS; Source: unix(7)).
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::string user;  // name of uid, or its number
  Access access = Access::viewer;
};

// What a handler gets beside its parameters.
// Threads: notify() may be called from any thread while the handler runs.
class Session {
 public:
  virtual ~Session() = default;
  virtual const Caller& caller() const = 0;
  // Queues one notification. Blocks while the client's queue is full; false when the client is
  // gone.
  virtual bool notify(std::string_view method, const util::json::Object& params) = 0;
  // Stops when the client disconnects, the session runs into its limits or the server stops.
  virtual std::stop_token gone() const = 0;
};

using Handler =
    std::function<util::json::Value(const util::json::Object& params, Session& session)>;
// By command name. Each command of the table has exactly one.
using Handlers = std::map<std::string, Handler, std::less<>>;

// Decides the class of a caller; empty: no access at all (not_authorised). Called on the loop: must
// not block.
using Authorise = std::function<std::optional<Access>(uid_t uid, const std::vector<gid_t>& groups)>;
// Called after every mutating command with its outcome ("ok" or the error's code name); writes the
// audit event.
using Audit =
    std::function<void(const Caller&, const Command&,
                       const util::json::Object& params_without_secrets, std::string_view outcome)>;

struct ServerLimits {
  std::size_t line_bytes = 1U << 20U;  // longest request line
  std::size_t connections = 128;       // at once
  std::chrono::milliseconds idle{
      std::chrono::minutes(5)};  // without a request, or without reading its answers
  std::chrono::milliseconds line{std::chrono::seconds(30)};  // from a line's first byte to its end
};

class Server {
 public:
  // Requires: loop and handler_pool outlive the server and the pool is joined after stop();
  // `listener` is a listening AF_UNIX stream socket; the pool has limits.connections threads (see
  // above). Errors: internal, when a command of the table has no handler or a handler no command.
  Server(EventLoop& loop, WorkerPool& handler_pool, util::UniqueFd listener, Handlers handlers,
         Authorise authorise, Audit audit, ServerLimits limits, util::Logger log);
  ~Server();

  // Accepts no more, tells open sessions to stop, waits for their handlers, sends the last replies
  // as far as the clients take them at once, and closes. Safe from any thread but a handler's;
  // returns when done.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Binds and listens at `path` (mode 0660, replaced when it is a stale socket nobody answers on).
// Errors: conflict when somebody answers there.
util::UniqueFd listen_unix(const std::string& path);

}  // namespace dbbackup::control
