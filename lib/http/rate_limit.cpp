#include "http/rate_limit.hpp"

#include <algorithm>
#include <condition_variable>

namespace dbbackup::http {

bool pause(util::Milliseconds delay, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, delay, [] { return false; });
  return !stop.stop_requested();
}

void RateLimit::take(std::uint64_t bytes, const std::stop_token& stop) {
  const auto now = std::chrono::steady_clock::now();
  util::SteadyPoint mine;
  {
    const std::scoped_lock lock(mutex_);
    mine = std::max(now, free_at_);
    free_at_ = mine + std::chrono::microseconds(bytes * 1000000 / bytes_per_second_);
  }
  if (mine > now) pause(std::chrono::ceil<util::Milliseconds>(mine - now), stop);
}

}  // namespace dbbackup::http
