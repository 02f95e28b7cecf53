// TCP and Unix sockets for the driver that a stop request can cut off.
//
// The driver's calls block and cannot be cancelled: a server that no longer answers would hold a
// run for minutes. The driver lets its user supply the streams it talks through, so these are ours,
// and cancelling is shutting down their sockets: every call in progress then fails at once. TLS is
// the driver's own, on top.
//
// Threads: shut_down() from any thread; everything else belongs to the client's thread.
// Owns: nothing but the list; each stream closes its own descriptor.
#pragma once

#include <mutex>
#include <set>

struct _mongoc_client_t;

namespace dbbackup::engine::mongodb {

class Sockets {
 public:
  Sockets() = default;
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  // Makes `client` use sockets of this list. Requires: outlives the client.
  void attach(_mongoc_client_t* client);
  // Ends all traffic, now and in future.
  void shut_down();

  // For the streams. add() is false after shut_down().
  bool add(int fd);
  void close(int fd);

 private:
  std::mutex mutex_;
  std::set<int> open_;
  bool ended_ = false;
};

}  // namespace dbbackup::engine::mongodb
