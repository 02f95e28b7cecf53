// Holds maintenance back to a number of bytes per second.
//
// Threads: safe from any thread; all of them share the rate.
#pragma once

#include <mutex>
#include <stop_token>

#include "util/time.hpp"

namespace dbbackup::repository {

class Throttle {
 public:
  // `rate` 0 never waits. Requires: the clock outlives this.
  Throttle(std::uint64_t rate, const util::Clock& clock) : rate_(rate), clock_(clock) {}

  // Takes `bytes` now and returns how long to wait before their work begins: what was taken before
  // pays for it, so the first piece goes at once, however large it is.
  std::chrono::nanoseconds take(std::uint64_t bytes);
  // Takes and waits, or until a stop is requested.
  void wait_for(std::uint64_t bytes, const std::stop_token& stop);

 private:
  const std::uint64_t rate_;
  const util::Clock& clock_;
  std::mutex mutex_;
  util::SteadyPoint free_at_{};  // when everything taken so far is paid for
};

}  // namespace dbbackup::repository
