// The pages/main stream of an artifact as a database that can be queried in place: only the chunks
// that a query touches are fetched, and a bounded number of them is kept.
//
// Threads: connections from source() may be used on several threads.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "engine/sqlite/session.hpp"
#include "repository/stream.hpp"
#include "sqlite/page_stream.hpp"

namespace dbbackup::engine::sqlite_engine {

// Chunks by use, the least recently used one goes first.
class ChunkCache {
 public:
  ChunkCache(repository::StreamReader& stream, std::stop_token stop);
  void read(std::uint64_t offset, std::span<std::uint8_t> out);

 private:
  using Chunk = std::shared_ptr<const util::Bytes>;
  std::uint64_t chunk_at(std::uint64_t offset) const;
  Chunk fetch(std::uint64_t index);

  repository::StreamReader& stream_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::list<std::pair<std::uint64_t, Chunk>> used_;  // most recent first
  std::map<std::uint64_t, decltype(used_)::iterator> known_;
  std::uint64_t bytes_ = 0;
};

class ArtifactPages {
 public:
  // Requires: reader outlives the object.
  ArtifactPages(repository::ArtifactReader& reader, const std::stop_token& stop);
  sqlite::PageSource& source() { return source_; }

 private:
  std::unique_ptr<repository::StreamReader> stream_;
  ChunkCache cache_;
  sqlite::PageSource source_;
};

// Sessions over a page source.
Sessions open_sessions(sqlite::PageSource& source, unsigned count, const std::stop_token& stop);

bool has_stream(const repository::ArtifactReader& reader, std::string_view name);

}  // namespace dbbackup::engine::sqlite_engine
