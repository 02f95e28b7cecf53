// Many chunks, read and opened by several threads ahead of the one who takes them in order.
//
// Neighbours in one pack are read with one request of up to 4 MiB. What is read and not taken yet
// is bounded: 16 MiB of plaintext for each worker.
//
// Threads: called from one thread; `take` runs on it.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "repository/chunk_source.hpp"

namespace dbbackup::repository {

struct ReadAheadOptions {
  unsigned workers = 2;
  bool verify = false;  // hash the plaintexts again
};

// With a problem, `plain` means nothing.
using TakeChunk = std::function<void(std::uint64_t index, util::ByteView plain,
                                     const std::optional<Problem>& problem)>;

// Errors: cancelled; whatever `take` throws.
void read_in_order(const ChunkSource& source, std::span<const ChunkRef> chunks,
                   const ReadAheadOptions& options, const std::stop_token& stop,
                   const TakeChunk& take);

}  // namespace dbbackup::repository
