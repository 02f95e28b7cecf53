// Chunks by id: located through the local index, read from their packs, opened.
//
// Threads: all members are safe from any thread.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/chunk_codec.hpp"
#include "repository/local_index.hpp"
#include "storage/object_store.hpp"
#include "util/error.hpp"

namespace dbbackup::repository {

// What is wrong with an object; `error` has the bare problem as its message.
struct Problem {
  std::string object;  // key
  util::Error error;
  util::Error as_error() const;
};

// The problem behind a failed read of `key`: "missing", "truncated: ...", or the error itself.
// `expected_end`: how long the object has to be at least.
Problem problem_of_read(storage::ObjectStore& store, const std::string& key,
                        const util::Error& error, std::uint64_t expected_end);

class ChunkSource {
 public:
  // Requires: all three outlive the source.
  ChunkSource(storage::ObjectStore& store, const Keys& keys, LocalIndex& index)
      : store_(store), keys_(keys), index_(index) {}

  storage::ObjectStore& store() const { return store_; }
  const Keys& keys() const { return keys_; }
  std::optional<Location> locate(const ChunkId& id) const { return index_.find(id); }

  // Errors: verification_failed, naming the pack, for a chunk that is missing or damaged.
  util::Bytes read(const ChunkId& id, std::stop_token stop) const;

  // A pack in which damage was met is lost for new artifacts from then on: the next backup stores its chunks anew, as far
  // as the source still has them.
  void note_damage(const PackId& pack) const;

  // Reads neighbours in one pack with one request. Opens each into `plain` (as many as `entries`);
  // where that fails the problem is set instead. `verify` hashes the plaintexts again.
  void read_neighbours(const PackId& pack, std::span<const PackEntry> entries, bool verify,
                       std::span<util::Bytes> plain, std::span<std::optional<Problem>> problems,
                       std::stop_token stop) const;

 private:
  util::Bytes get_records(const PackId& pack, const PackEntry& first, std::uint64_t length,
                          std::stop_token stop) const;

  storage::ObjectStore& store_;
  const Keys& keys_;
  LocalIndex& index_;
};

// A chunk that no pack holds, as far as the index knows.
Problem unknown_chunk(const ChunkId& id);

// The chunks of a stream, from its root list down. `lists`, when given, receives the ids of the
// lists themselves. Errors: verification_failed.
std::vector<ChunkRef> load_chunk_lists(const ChunkSource& source, const ChunkId& root,
                                       std::stop_token stop, std::vector<ChunkId>* lists = nullptr);

}  // namespace dbbackup::repository
