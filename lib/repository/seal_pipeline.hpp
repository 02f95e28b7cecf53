// From cut chunks to durable packs: the middle of every backup.
//
//   submit() -> bounded queue -> workers (hash, look up, compress, seal) -> pack being filled ->
//   uploader
//
// A chunk that the repository has already costs a tag and one look-up, or its hash and another when
// the tag is not known. Of equal new chunks in flight one is stored: the worker that claims the id
// first. A pack enters the local index when it is durable, and its claims end there.
//
// Memory: equal parts of the budget for queued chunks, the pack being filled, the one waiting
// and each of those being put; all of them block the one before when they are full, which is how a
// slow store slows down a fast database.
//
// Threads: submit(), wait() and finish() from any thread. Own: `workers` and `uploads` uploaders,
// joined by the destructor. Errors: the first failure of any thread, or the stop request, is thrown
// by every later call.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <unordered_set>
#include <vector>

#include "repository/format.hpp"
#include "repository/keys.hpp"
#include "repository/local_index.hpp"
#include "repository/pack_builder.hpp"
#include "util/bounded_queue.hpp"
#include "util/error.hpp"
#include "util/ulid.hpp"

namespace dbbackup::repository {

// Where the ids of one stream's chunks arrive, in whatever order the workers finish.
class Receiver {
 public:
  // Makes slot `index` expect a chunk; a later one for the same slot wins over an earlier one.
  // Returns the turn to be given to set().
  std::uint32_t expect(std::uint64_t index);
  void set(std::uint64_t index, std::uint32_t turn, const ChunkRef& chunk);
  bool complete();
  // The first slot that never expected anything, when there is one.
  std::optional<std::uint64_t> hole();
  // Requires: everything expected has arrived, and nobody else uses the receiver any more.
  std::vector<ChunkRef> take() { return std::move(chunks_); }

 private:
  struct Turns {
    std::uint32_t expected = 0;  // 0: a hole
    std::uint32_t arrived = 0;
  };
  std::mutex mutex_;
  std::vector<ChunkRef> chunks_;
  std::vector<Turns> turns_;
  std::uint64_t pending_ = 0;
};

class SealPipeline {
 public:
  struct Options {
    unsigned workers = 2;
    std::uint64_t memory_bytes = 128ULL << 20U;
    std::uint32_t pack_bytes = 32U << 20U;
    int compression_level = 3;
    unsigned uploads = 1;  // packs being put at once
  };
  // Durable when it returns.
  using Put = std::function<void(const std::string& key, util::ByteView content, std::stop_token)>;

  // Requires: keys, index and ids outlive the pipeline.
  SealPipeline(const Keys& keys, LocalIndex& index, util::UlidSource& ids, Put put,
               const Options& options, const std::stop_token& stop);
  ~SealPipeline();
  SealPipeline(const SealPipeline&) = delete;
  SealPipeline& operator=(const SealPipeline&) = delete;

  // An empty buffer, where possible one that has been used before.
  util::Bytes take_buffer();
  // Blocks while the queue is full.
  void submit(util::Bytes plain, const std::shared_ptr<Receiver>& to, std::uint64_t slot);
  // Blocks until everything submitted to `receiver` has arrived.
  void wait(Receiver& receiver);
  // Stores `chunks` as chunk lists and returns the root.
  ChunkRef store_chunk_lists(std::vector<ChunkRef> chunks);
  // Puts the last pack and the index segments. Nothing may be submitted afterwards.
  void finish();

  std::uint64_t added_bytes() const { return added_bytes_.load(); }
  // Packs put so far; the newest may not be in any segment yet.
  std::set<PackId> own_packs();
  // The most bytes that were queued or in packs at once.
  std::uint64_t peak_bytes() const { return peak_bytes_.load(); }

 private:
  struct Item {
    util::Bytes plain;
    std::shared_ptr<Receiver> to;
    std::uint64_t slot = 0;
    std::uint32_t turn = 0;
  };
  void work();
  void process(Item& item);
  void store(const ChunkId& id, util::ByteView plain);
  bool claim(const ChunkId& id);
  void note_tag(const crypto::Tag& tag, const ChunkId& id);
  void append(const PackEntry& entry, util::ByteView record);
  void hand_over();
  void upload();
  void put_pack(PackBuilder pack);
  void write_segment(const std::vector<PackContents>& packs);
  void fail(const util::Error& error);
  void require_sound();
  void recycle(util::Bytes buffer);
  void account(std::int64_t bytes);

  const Keys& keys_;
  LocalIndex& index_;
  util::UlidSource& ids_;
  const Put put_;
  const Options options_;
  const std::uint64_t queue_bytes_;
  const std::size_t pack_bytes_;

  std::mutex mutex_;  // queue, buffers of both kinds, failure
  std::condition_variable space_;
  std::condition_variable filled_;
  std::condition_variable settled_;
  std::deque<Item> queue_;
  std::uint64_t queued_bytes_ = 0;
  bool closed_ = false;
  std::optional<util::Error> failure_;
  std::vector<util::Bytes> buffers_;
  std::vector<util::Bytes> pack_buffers_;

  std::mutex claims_mutex_;
  std::unordered_set<ChunkId, ChunkIdHash> claims_;

  std::mutex tags_mutex_;
  std::vector<std::pair<crypto::Tag, ChunkId>> new_tags_;

  std::mutex pack_mutex_;
  PackBuilder filling_;

  util::BoundedQueue<PackBuilder> uploads_{1};
  std::mutex unlisted_mutex_;
  std::vector<PackContents> unlisted_;
  std::set<PackId> own_packs_;

  std::atomic<std::uint64_t> added_bytes_{0};
  std::atomic<std::int64_t> held_bytes_{0};
  std::atomic<std::uint64_t> peak_bytes_{0};

  std::stop_source stop_;
  std::vector<std::jthread> workers_;
  std::vector<std::jthread> uploaders_;
  // Last: gone first, so that it never fires into a half-destroyed pipeline.
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

}  // namespace dbbackup::repository
