#include "control/event_loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "control/event_loop_impl.hpp"

namespace dbbackup::control {

namespace asio = boost::asio;

struct EventLoop::Impl::Timer {
  explicit Timer(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
};

struct EventLoop::Impl::Signals {
  Signals(asio::io_context& context, std::function<void(int)> callback)
      : set(context), work(std::move(callback)) {}

  void wait() {
    set.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      work(number);
      wait();
    });
  }

  asio::signal_set set;
  std::function<void(int)> work;
};

EventLoop::Impl::Impl() : context(std::make_unique<asio::io_context>(1)) {}
EventLoop::Impl::~Impl() = default;

void EventLoop::Impl::execute(std::function<void()> work) {
  if (context->get_executor().running_in_this_thread()) return work();
  // Whoever takes the work out of the box does it: the loop, or this thread when the loop has
  // stopped meanwhile.
  const auto box = std::make_shared<std::function<void()>>(std::move(work));
  const auto done = std::make_shared<bool>(false);
  std::unique_lock lock(mutex);
  if (running) {
    asio::post(*context, [this, box, done] {
      std::unique_lock inner(mutex);
      const auto taken = std::exchange(*box, nullptr);
      inner.unlock();
      if (!taken) return;
      taken();
      inner.lock();
      *done = true;
      changed.notify_all();
    });
    changed.wait(lock, [&] { return *done || !running; });
  }
  if (*done) return;
  // Under the lock: run() waits for it before it starts.
  if (const auto taken = std::exchange(*box, nullptr)) taken();
}

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  struct Running {
    explicit Running(Impl& of) : impl(of) { set(true); }
    ~Running() { set(false); }
    void set(bool value) const {
      const std::scoped_lock lock(impl.mutex);
      impl.running = value;
      impl.changed.notify_all();
    }
    Impl& impl;
  };
  const Running running(*impl_);
  const auto guard = asio::make_work_guard(*impl_->context);
  impl_->context->run();
}

void EventLoop::stop() { impl_->context->stop(); }

void EventLoop::post(std::function<void()> work) { asio::post(*impl_->context, std::move(work)); }

void EventLoop::set_timer(int slot, std::chrono::milliseconds delay, std::function<void()> work) {
  // A new timer object each time: a callback of the old one that is queued already then finds
  // itself replaced.
  auto timer = std::make_shared<Impl::Timer>(*impl_->context);
  impl_->timers[slot] = timer;
  timer->timer.expires_after(delay);
  timer->timer.async_wait([this, slot, weak = std::weak_ptr(timer),
                           work = std::move(work)](const boost::system::error_code& error) {
    if (error || weak.expired()) return;
    impl_->timers.erase(slot);
    work();
  });
}

void EventLoop::cancel_timer(int slot) { impl_->timers.erase(slot); }

void EventLoop::on_signals(std::vector<int> signals, std::function<void(int)> work) {
  auto added = std::make_unique<Impl::Signals>(*impl_->context, std::move(work));
  for (const int number : signals) added->set.add(number);
  added->wait();
  impl_->signals.push_back(std::move(added));
}

struct WorkerPool::Impl {
  explicit Impl(std::size_t threads) : pool(threads) {}
  asio::thread_pool pool;
};

WorkerPool::WorkerPool(std::size_t threads) : impl_(std::make_unique<Impl>(threads)) {}
WorkerPool::~WorkerPool() { join(); }
void WorkerPool::post(std::function<void()> work) { asio::post(impl_->pool, std::move(work)); }
void WorkerPool::join() { impl_->pool.join(); }

}  // namespace dbbackup::control
