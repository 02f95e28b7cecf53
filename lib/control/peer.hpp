// Who is at the other end of a Unix socket, as the kernel says.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace dbbackup::control {

struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // with gid
};

// The credentials of the process that connected, at the time when it did. Source: unix(7)
// SO_PEERCRED, socket(7) SO_PEERGROUPS. Errors: from system_error().
Peer peer_of(int socket);

// The user's name, or the number when it has none. May block: name services may ask the network.
std::string user_name(uid_t uid);

}  // namespace dbbackup::control
