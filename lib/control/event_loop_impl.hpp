// What the server needs of the loop beside its public face. Names no Asio header, only its context.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "control/event_loop.hpp"

namespace boost::asio {
class io_context;
}

namespace dbbackup::control {

struct EventLoop::Impl {
  Impl();
  ~Impl();

  // Runs `work` where nothing of the loop runs beside it, and returns when that is done: at once on
  // the loop's own thread or when nobody runs the loop, else by posting it.
  void execute(std::function<void()> work);

  struct Timer;
  struct Signals;

  std::unique_ptr<boost::asio::io_context> context;
  std::map<int, std::shared_ptr<Timer>> timers;
  std::vector<std::unique_ptr<Signals>> signals;

  std::mutex mutex;
  std::condition_variable changed;
  bool running = false;
};

}  // namespace dbbackup::control
