// Who may do what: the configuration's users and groups mapped to access classes.
//
// Root and the daemon's own user are admins whatever the configuration says. Names are resolved when the policy is set (start
// and reload), because a slow name service must not stop the event loop; which groups a caller is in, the kernel tells at
// each connection.
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
  struct Members {
    std::vector<uid_t> users;
    std::vector<gid_t> groups;
    bool has(uid_t uid, const std::vector<gid_t>& of_caller) const;
  };

  void set(const config::AccessConfig& access);
  std::optional<control::Access> decide(uid_t uid, const std::vector<gid_t>& groups) const;

 private:
  mutable std::mutex mutex_;
  Members admin_;
  Members operate_;
  Members viewer_;
};

}  // namespace dbbackup::daemon
