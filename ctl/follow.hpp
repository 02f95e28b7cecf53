// Waiting for runs and watching them.
//
// The first Ctrl-C while watching detaches: the run goes on. On a terminal the client stays two
// seconds longer, and a second Ctrl-C in that time cancels the run and waits for its end; a third
// one leaves at once.
//
// Threads: used by the main thread only.
#pragma once

#include <optional>
#include <string>

#include "ctl/context.hpp"

namespace dbbackup::ctl {

// Exit status of a client that waited for `run` (interface.md "Exit codes").
int exit_status_of_run(const util::json::Object& run);

// Waits for the run's end, shows it, and returns its exit status. Requires: params names the run
// ("run").
int wait_for_run(const util::json::Object& params, const Context& context);

// Shows the run's notifications or the events as they come, until the daemon has no more or Ctrl-C.
int stream(std::string_view method, const util::json::Object& params, const Context& context);

}  // namespace dbbackup::ctl
