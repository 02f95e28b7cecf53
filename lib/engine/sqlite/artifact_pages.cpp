#include "engine/sqlite/artifact_pages.hpp"

#include <algorithm>
#include <cstring>

#include "engine/sqlite/backup.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
constexpr std::uint64_t kCacheBytes = std::uint64_t{32} << 20U;

std::uint64_t size_of(const repository::StreamReader& stream) {
  return stream.chunk_offset(stream.chunk_count());
}
}  // namespace

ChunkCache::ChunkCache(repository::StreamReader& stream, std::stop_token stop)
    : stream_(stream), stop_(std::move(stop)) {}

std::uint64_t ChunkCache::chunk_at(std::uint64_t offset) const {
  std::uint64_t low = 0;
  std::uint64_t high = stream_.chunk_count();
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (stream_.chunk_offset(middle) <= offset ? low : high) = middle;
  }
  return low;
}

// Two threads may fetch the same chunk at once; that costs time, not correctness, and no thread
// waits for another's chunk.
ChunkCache::Chunk ChunkCache::fetch(std::uint64_t index) {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = known_.find(index); found != known_.end()) {
      used_.splice(used_.begin(), used_, found->second);
      return found->second->second;
    }
  }
  auto chunk = std::make_shared<const util::Bytes>(stream_.read_chunk(index, stop_));
  const std::scoped_lock lock(mutex_);
  if (known_.contains(index)) return chunk;
  used_.emplace_front(index, chunk);
  known_[index] = used_.begin();
  bytes_ += chunk->size();
  while (bytes_ > kCacheBytes && used_.size() > 1) {
    bytes_ -= used_.back().second->size();
    known_.erase(used_.back().first);
    used_.pop_back();
  }
  return chunk;
}

void ChunkCache::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::uint64_t index = chunk_at(offset);
    const Chunk chunk = fetch(index);
    const auto skip = static_cast<std::size_t>(offset - stream_.chunk_offset(index));
    if (skip >= chunk->size()) {
      throw util::Error(util::ErrorCode::verification_failed,
                        util::cat("stream ", kPagesStream, " ends at byte ", offset));
    }
    const std::size_t length = std::min(out.size(), chunk->size() - skip);
    std::memcpy(out.data(), chunk->data() + skip, length);
    out = out.subspan(length);
    offset += length;
  }
}

ArtifactPages::ArtifactPages(repository::ArtifactReader& reader, const std::stop_token& stop)
    : stream_(reader.open(kPagesStream)),
      cache_(*stream_, stop),
      source_(
          util::cat("artifact ", reader.id()), size_of(*stream_),
          [this](std::uint64_t offset, std::span<std::uint8_t> out) { cache_.read(offset, out); }) {
}

Sessions open_sessions(sqlite::PageSource& source, unsigned count, const std::stop_token& stop) {
  Sessions sessions;
  for (unsigned i = 0; i < std::max(count, 1U); ++i) {
    sessions.readers.push_back(std::make_unique<Session>(source.open(), stop));
  }
  return sessions;
}

bool has_stream(const repository::ArtifactReader& reader, std::string_view name) {
  return std::any_of(reader.streams().begin(), reader.streams().end(),
                     [&](const repository::StreamInfo& stream) { return stream.name == name; });
}

}  // namespace dbbackup::engine::sqlite_engine
