// The I/O thread and the thread pools, so that Boost.Asio stays in this room.
//
// EventLoop: one single-threaded io_context for the control socket, timers and signals; nothing on
// it may block. WorkerPool: a boost::asio::thread_pool for what may block: request handlers (a
// small one) and runs (sized by configuration).
//
// Threads: post() from any thread; run() in one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace dbbackup::control {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();

  void run();   // until stop()
  void stop();  // safe from any thread
  void post(std::function<void()> work);
  // Calls back once after `delay`; a new call replaces a pending timer of the same slot. Slots are
  // small integers that the caller chooses. cancel_timer() forgets it.
  void set_timer(int slot, std::chrono::milliseconds delay, std::function<void()> work);
  void cancel_timer(int slot);
  // Each delivery of one of the signals calls back on the loop.
  void on_signals(std::vector<int> signals, std::function<void(int)> work);

  struct Impl;
  Impl& impl() { return *impl_; }  // for this room's own server

 private:
  std::unique_ptr<Impl> impl_;
};

class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads);
  ~WorkerPool();
  void post(std::function<void()> work);
  void join();  // waits for everything posted; no more may be posted

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbbackup::control
