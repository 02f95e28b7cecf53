#include "repository/throttle.hpp"

#include <algorithm>
#include <condition_variable>

namespace dbbackup::repository {

std::chrono::nanoseconds Throttle::take(std::uint64_t bytes) {
  if (rate_ == 0) return {};
  const std::scoped_lock lock(mutex_);
  const util::SteadyPoint now = clock_.steady_now();
  const util::SteadyPoint begin = std::max(now, free_at_);
  const std::chrono::duration<double> price(static_cast<double>(bytes) /
                                            static_cast<double>(rate_));
  free_at_ = begin + std::chrono::duration_cast<std::chrono::nanoseconds>(price);
  return begin - now;
}

void Throttle::wait_for(std::uint64_t bytes, const std::stop_token& stop) {
  const std::chrono::nanoseconds wait = take(bytes);
  if (wait.count() <= 0) return;
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, wait, [] { return false; });
}

}  // namespace dbbackup::repository
