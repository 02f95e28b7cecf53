// Reads a file back while it is being written, and compares: shows that what a restore handed to
// the file system is what the file system gives back.
//
// Threads: expect() and finish() are the writer's; reading happens on a thread of its own, a
// bounded number of pieces behind. Errors: verification_failed, naming the file and the place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "repository/stream.hpp"
#include "util/bounded_queue.hpp"
#include "util/bytes.hpp"
#include "util/error.hpp"

namespace dbbackup::engine::sqlite_engine {

class ReadBack {
 public:
  // Requires: the descriptor stays open until finish() or destruction.
  ReadBack(int fd, std::string path);
  ~ReadBack();
  ReadBack(const ReadBack&) = delete;
  ReadBack& operator=(const ReadBack&) = delete;

  // `content` has been written at `offset`.
  void expect(std::uint64_t offset, util::ByteView content);
  // Waits until everything was compared. Errors: of the first piece that differs.
  void finish();

 private:
  struct Piece {
    std::uint64_t offset = 0;
    std::size_t bytes = 0;
    repository::RowHash hash;
  };
  void compare();

  const int fd_;
  const std::string path_;
  util::BoundedQueue<Piece> pieces_;
  std::optional<util::Error> failure_;
  std::jthread thread_;
};

// The whole of `out`. Errors: io.
void read_at(int fd, std::uint64_t offset, std::span<std::uint8_t> out, const std::string& path);

}  // namespace dbbackup::engine::sqlite_engine
