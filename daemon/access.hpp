// Who may do what: the configuration's users and groups mapped to access classes.
//
// Root and the daemon's own user are admins whatever the configuration says. Names are looked up at
// each connection, so a user added to a group need not wait for a restart.
//
// Threads: safe from any thread.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <optional>
#include <vector>

#include "config/daemon_config.hpp"
#include "control/command.hpp"

namespace dbbackup::daemon {

class AccessPolicy {
 public:
  void set(const config::AccessConfig& access);
  std::optional<control::Access> decide(uid_t uid, const std::vector<gid_t>& groups) const;

 private:
  mutable std::mutex mutex_;
  config::AccessConfig access_;
};

}  // namespace dbbackup::daemon
