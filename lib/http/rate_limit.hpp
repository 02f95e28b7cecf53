// A bandwidth limit shared by any number of transfers: each asks before it moves bytes and waits
// its turn.
//
// Threads: take() from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <stop_token>

#include "util/time.hpp"

namespace dbbackup::http {

class RateLimit {
 public:
  // Requires: bytes_per_second > 0.
  explicit RateLimit(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  // Blocks until `bytes` may be moved. Early, when a stop is requested.
  void take(std::uint64_t bytes, const std::stop_token& stop);

 private:
  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  util::SteadyPoint free_at_{};  // when everything granted so far has passed
};

// Sleeps for `delay`, less when a stop is requested. False then.
bool pause(util::Milliseconds delay, const std::stop_token& stop);

}  // namespace dbbackup::http
