// systemd, as seen from the daemon: readiness, status, watchdog, the sockets it passes, and the
// journal. All of it is quiet when the daemon was started by hand.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "util/log.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::daemon {

// Source: sd_notify(3).
void notify_ready(const std::string& status);
void notify_status(const std::string& status);
void notify_reloading();
void notify_stopping();
void notify_watchdog();
// How often the manager wants to hear of us; empty without a watchdog.
std::optional<std::chrono::milliseconds> watchdog_interval();

// The listening socket named "control" (or the only one) that systemd passed. Source:
// sd_listen_fds_with_names(3).
std::optional<util::UniqueFd> inherited_listener();

// The journal when stderr is connected to it (JOURNAL_STREAM), with DBBACKUP_RUN= and DBBACKUP_JOB=
// fields; stderr otherwise.
util::Logger make_logger();

}  // namespace dbbackup::daemon
