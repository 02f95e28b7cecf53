#include "control/event_loop.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <future>
#include <thread>

namespace dbbackup::control {
namespace {

using std::chrono::milliseconds;

TEST_CASE("posted work runs in order", "[control]") {
  EventLoop loop;
  std::string order;
  loop.post([&] { order += "a"; });
  loop.post([&] {
    order += "b";
    loop.post([&] {
      order += "c";
      loop.stop();
    });
  });
  loop.run();
  CHECK(order == "abc");
}

TEST_CASE("a loop stopped before it runs returns at once", "[control]") {
  EventLoop loop;
  loop.stop();
  loop.run();
}

TEST_CASE("a timer fires once; a later setting of its slot replaces it", "[control]") {
  EventLoop loop;
  std::string fired;
  loop.set_timer(1, milliseconds(1), [&] { fired += "replaced"; });
  loop.set_timer(1, milliseconds(2), [&] { fired += "a"; });
  loop.set_timer(2, milliseconds(1), [&] { fired += "cancelled"; });
  loop.cancel_timer(2);
  loop.set_timer(3, milliseconds(20), [&] {
    fired += "b";
    loop.set_timer(3, milliseconds(1), [&] { loop.stop(); });
  });
  loop.run();
  CHECK(fired == "ab");
}

TEST_CASE("a timer that is due already can still be replaced", "[control]") {
  EventLoop loop;
  std::string fired;
  loop.set_timer(1, milliseconds(0), [&] { fired += "old"; });
  loop.set_timer(2, milliseconds(0), [&] { fired += "old"; });
  loop.post([&] {
    std::this_thread::yield();
    loop.set_timer(1, milliseconds(1), [&] { loop.stop(); });
    loop.cancel_timer(2);
  });
  loop.run();
  CHECK(fired.empty());
}

TEST_CASE("signals arrive on the loop, every time", "[control]") {
  EventLoop loop;
  int count = 0;
  loop.on_signals({SIGUSR1, SIGUSR2}, [&](int number) {
    CHECK(number == (count == 0 ? SIGUSR1 : SIGUSR2));
    if (++count == 2) return loop.stop();
    std::raise(SIGUSR2);
  });
  loop.post([] { std::raise(SIGUSR1); });
  loop.run();
  CHECK(count == 2);
}

TEST_CASE("a pool works on several threads and waits for all", "[control]") {
  WorkerPool pool(4);
  // Four tasks that each wait for all four: fewer threads would never get there.
  std::atomic<int> arrived = 0;
  std::promise<void> all;
  const auto together = all.get_future().share();
  std::atomic<int> done = 0;
  for (int i = 0; i < 4; ++i) {
    pool.post([&, together] {
      if (++arrived == 4) all.set_value();
      together.wait();
      ++done;
    });
  }
  pool.join();
  CHECK(done == 4);
}

}  // namespace
}  // namespace dbbackup::control
