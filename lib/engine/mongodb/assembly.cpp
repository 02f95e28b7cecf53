#include "engine/mongodb/assembly.hpp"

#include <utility>

#include "util/error.hpp"

namespace dbbackup::engine::mongodb {

namespace {
constexpr std::size_t kHeldBytes = std::size_t{32} << 20U;
}  // namespace

Assembly::Assembly(repository::ArtifactWriter& writer, std::string stream, std::size_t ranges)
    : writer_(writer), stream_(std::move(stream)), held_(ranges) {}

// The stream is touched without the lock: only the range whose turn it is does that, and the turn
// passes under the lock.
void Assembly::write(const Batch& batch) {
  if (!open_) open_ = writer_.open(stream_, repository::StreamKind::bson, {});
  each_row(batch, [this](util::ByteView document) {
    open_->write(document);
    open_->end_row();
    return true;
  });
}

bool Assembly::wait_for_turn(std::size_t range, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  turned_.wait(lock, stop, [&] { return turn_ == range || abandoned_; });
  if (stop.stop_requested()) throw util::Error(util::ErrorCode::cancelled, "cancelled");
  return !abandoned_;
}

bool Assembly::add(std::size_t range, const Batch& batch, const std::stop_token& stop) {
  Held& held = held_[range];
  {
    const std::scoped_lock lock(mutex_);
    if (abandoned_) return false;
    if (turn_ != range && held.bytes < kHeldBytes) {
      held.bytes += batch.list.size();
      held.batches.push_back(batch);
      return true;
    }
  }
  if (!wait_for_turn(range, stop)) return false;
  for (const Batch& earlier : std::exchange(held.batches, {})) write(earlier);
  write(batch);
  return true;
}

void Assembly::finish(std::size_t range, const std::stop_token& stop) {
  if (!wait_for_turn(range, stop)) return;
  for (const Batch& earlier : std::exchange(held_[range].batches, {})) write(earlier);
  const bool last = range + 1 == held_.size();
  if (last) {
    if (!open_) open_ = writer_.open(stream_, repository::StreamKind::bson, {});
    result_ = open_->close();
    open_.reset();
  }
  const std::scoped_lock lock(mutex_);
  ++turn_;
  turned_.notify_all();
}

void Assembly::abandon() {
  const std::scoped_lock lock(mutex_);
  abandoned_ = true;
  turned_.notify_all();
}

bool Assembly::abandoned() const {
  const std::scoped_lock lock(mutex_);
  return abandoned_;
}

}  // namespace dbbackup::engine::mongodb
