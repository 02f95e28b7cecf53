// Puts the ranges of one collection, which several readers fetch at once, into one stream in order.
//
// The reader of the range whose turn it is writes straight into the stream; readers of later ranges
// collect up to a limit and then wait. Ranges are begun in order, so the reader whose turn it is
// never waits, and the stream's bytes do not depend on how the collection was cut: tomorrow's
// backup may cut it elsewhere and still share its chunks.
//
// Threads: each range belongs to one thread; calls for different ranges are safe at once.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/mongodb/client.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mongodb {

class Assembly {
 public:
  // Opens the stream with the first batch. Requires: writer outlives the object.
  Assembly(repository::ArtifactWriter& writer, std::string stream, std::size_t ranges);

  // Takes one batch of a range. False when the stream was given up. Errors: those of the writer.
  bool add(std::size_t range, const Batch& batch, const std::stop_token& stop);
  // The range is complete; after the last one the stream is closed.
  void finish(std::size_t range, const std::stop_token& stop);
  // Gives the stream up; everybody who waits returns.
  void abandon();

  bool abandoned() const;
  // What the stream became, once all ranges are complete.
  const std::optional<repository::StreamInfo>& result() const { return result_; }

 private:
  bool wait_for_turn(std::size_t range, const std::stop_token& stop);
  void write(const Batch& batch);

  repository::ArtifactWriter& writer_;
  const std::string stream_;
  mutable std::mutex mutex_;
  std::condition_variable_any turned_;
  std::size_t turn_ = 0;
  bool abandoned_ = false;
  struct Held {
    std::vector<Batch> batches;
    std::size_t bytes = 0;
  };
  std::vector<Held> held_;
  std::unique_ptr<repository::StreamWriter> open_;
  std::optional<repository::StreamInfo> result_;
};

}  // namespace dbbackup::engine::mongodb
