// What a command has at hand while it is carried out: the daemon, the output, the person, the
// clock.
//
// The daemon is a function here, so that tests can play it.
//
// Threads: used by the main thread only.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <string_view>

#include "control/client.hpp"
#include "ctl/arguments.hpp"
#include "ctl/output.hpp"
#include "ctl/terminal.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace dbbackup::ctl {

// As control::Client::call.
using Call =
    std::function<util::json::Value(std::string_view method, const util::json::Object& params,
                                    const control::Client::OnNotification& on_notification,
                                    const control::Client::KeepWaiting& keep_waiting)>;

// Connects when it is first called, and anew after a call that was given up (its reply may still
// arrive on the old connection).
Call call_daemon(std::string socket_path);

// --socket, then DBBACKUP_SOCKET, then the system's socket when there is one, then the user's.
std::string choose_socket(const std::optional<std::string>& option, const Environment& environment,
                          const std::function<bool(const std::string&)>& exists);

struct Context {
  Output& out;
  const Terminal& terminal;
  const Environment& environment;
  const util::Clock& clock;
  std::istream& input;
  Call call;
  // From now until the returned function is destroyed, Ctrl-C is counted instead of ending the
  // client; the function tells how often it was pressed.
  std::function<std::function<int()>()> watch_interrupts;

  // The reply's object. Errors: internal, for a daemon that answers something else.
  util::json::Object request(std::string_view method, const util::json::Object& params) const;
};

// Carries out what was typed and returns the exit status. Errors: what the daemon answered, usage.
int execute(const Invocation& invocation, const Context& context);

}  // namespace dbbackup::ctl
