#include "engine/mysql/crew.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace dbbackup::engine::mysql {

Run::Run(const Place& place, const std::string& password, util::Task& task)
    : outer_(task.stop(), [this] { stop_.request_stop(); }),
      door_{place.login, password,
            std::make_shared<Canceller>(place.login, password, stop_.get_token())} {}

void run_units(Run& run, Crew& crew, const std::vector<Unit>& units, const util::Task& task) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](Connection& connection) {
    try {
      while (!run.stop().stop_requested()) {
        const std::size_t unit = next++;
        if (unit >= units.size()) return;
        units[unit](connection);
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
      run.stop().request_stop();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < crew.size() && i < units.size(); ++i) {
      threads.emplace_back([&, i] { work(*crew[i]); });
    }
    work(*crew.front());
  }
  task.check();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dbbackup::engine::mysql
