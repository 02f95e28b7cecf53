// zstd with one context per thread, reused: making one costs more than compressing a small chunk.
//
// Threads: safe from any thread.
#pragma once

#include "util/bytes.hpp"

namespace dbbackup::repository {

// One frame that states its content size.
util::Bytes compress(util::ByteView content, int level);
// As compress(): the frame lies in `room`, which only grows. Reuse it for speed.
util::ByteView compress_into(util::ByteView content, int level, util::Bytes& room);

// Errors: verification_failed for anything but one whole frame of at most `limit` bytes of content.
util::Bytes decompress(util::ByteView frame, std::size_t limit);
void decompress_into(util::ByteView frame, std::size_t limit, util::Bytes& content);

}  // namespace dbbackup::repository
