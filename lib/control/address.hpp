// A file-system path as the address of a Unix socket.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

namespace dbbackup::control {

struct UnixAddress {
  // Errors: usage, for a path that is empty or longer than an address can hold (Source: unix(7),
  // 107 bytes).
  explicit UnixAddress(const std::string& path);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  static socklen_t size() { return sizeof(sockaddr_un); }

  sockaddr_un address{};
};

}  // namespace dbbackup::control
