// A clock that stands still until a test moves it.
#pragma once

#include <mutex>

#include "util/time.hpp"

namespace dbbackup::test {

class ManualClock final : public util::Clock {
 public:
  explicit ManualClock(util::TimePoint start) : now_(start) {}
  util::TimePoint now() const override {
    const std::scoped_lock lock(mutex_);
    return now_;
  }
  util::SteadyPoint steady_now() const override {
    const std::scoped_lock lock(mutex_);
    return steady_;
  }
  // Both clocks go on; as when real time passes.
  void advance(util::Milliseconds step) {
    const std::scoped_lock lock(mutex_);
    now_ += step;
    steady_ += step;
  }
  // Only the wall clock jumps; as when an administrator sets it.
  void set(util::TimePoint now) {
    const std::scoped_lock lock(mutex_);
    now_ = now;
  }

 private:
  mutable std::mutex mutex_;
  util::TimePoint now_;
  util::SteadyPoint steady_{};
};

}  // namespace dbbackup::test
