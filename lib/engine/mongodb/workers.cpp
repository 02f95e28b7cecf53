#include "engine/mongodb/workers.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace dbbackup::engine::mongodb {

void work_off(const Endpoint& endpoint, Client::Purpose purpose, unsigned workers,
              const std::vector<Unit>& units, const util::Task& task) {
  if (units.empty()) return;
  std::stop_source stop;
  const std::stop_callback outer(task.stop(), [&] { stop.request_stop(); });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Client client(endpoint, purpose, stop.get_token());
      while (!stop.stop_requested()) {
        const std::size_t unit = next++;
        if (unit >= units.size()) return;
        units[unit](client, stop.get_token());
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
      stop.request_stop();
    }
  };
  {
    std::vector<std::jthread> threads;
    const std::size_t count = std::min<std::size_t>(std::max(workers, 1U), units.size());
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back(work);
  }
  task.check();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dbbackup::engine::mongodb
