#include "control/peer.hpp"

#include <pwd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "util/error.hpp"

namespace dbbackup::control {

namespace {

// Supplementary groups; the kernel says how many there are when the space does not suffice.
std::vector<gid_t> peer_groups(int socket) {
  std::vector<gid_t> groups(32);
  for (;;) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int status = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    if (status != 0 && errno != ERANGE) {
      throw util::system_error("cannot read the caller's groups", errno);
    }
    groups.resize(bytes / sizeof(gid_t));
    if (status == 0) return groups;
  }
}

}  // namespace

Peer peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    throw util::system_error("cannot read the caller's credentials", errno);
  }
  Peer peer{credentials.uid, credentials.gid, credentials.pid, peer_groups(socket)};
  if (std::ranges::find(peer.groups, peer.gid) == peer.groups.end()) {
    peer.groups.push_back(peer.gid);
  }
  return peer;
}

std::string user_name(uid_t uid) {
  std::vector<char> space(1024);
  for (;;) {
    passwd entry{};
    passwd* found = nullptr;
    const int status = ::getpwuid_r(uid, &entry, space.data(), space.size(), &found);
    if (status == ERANGE && space.size() < (1U << 20U)) {
      space.resize(space.size() * 2);
      continue;
    }
    return status == 0 && found != nullptr ? std::string(entry.pw_name) : std::to_string(uid);
  }
}

}  // namespace dbbackup::control
