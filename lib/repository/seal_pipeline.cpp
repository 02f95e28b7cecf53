#include "repository/seal_pipeline.hpp"

#include <algorithm>

#include "repository/chunk_codec.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::size_t kPacksPerSegment = 128;
// Buffers of usual chunks are kept for reuse, so that the kernel does not zero the same pages again
// and again.
constexpr std::size_t kMostKeptBuffers = 16;
constexpr std::size_t kLargestKeptBuffer = 1U << 20U;
constexpr std::size_t kTagsPerBatch = 4096;
constexpr std::size_t kLeastPackBytes = 64U << 10U;
}  // namespace

std::uint32_t Receiver::expect(std::uint64_t index) {
  const std::scoped_lock lock(mutex_);
  if (index >= turns_.size()) {
    turns_.resize(index + 1);
    chunks_.resize(index + 1);
  }
  ++pending_;
  return ++turns_[index].expected;
}

void Receiver::set(std::uint64_t index, std::uint32_t turn, const ChunkRef& chunk) {
  const std::scoped_lock lock(mutex_);
  --pending_;
  if (turn < turns_[index].arrived) return;
  turns_[index].arrived = turn;
  chunks_[index] = chunk;
}

bool Receiver::complete() {
  const std::scoped_lock lock(mutex_);
  return pending_ == 0;
}

std::optional<std::uint64_t> Receiver::hole() {
  const std::scoped_lock lock(mutex_);
  for (std::uint64_t i = 0; i < turns_.size(); ++i) {
    if (turns_[i].expected == 0) return i;
  }
  return std::nullopt;
}

SealPipeline::SealPipeline(const Keys& keys, LocalIndex& index, util::UlidSource& ids, Put put,
                           const Options& options, const std::stop_token& stop)
    : keys_(keys),
      index_(index),
      ids_(ids),
      put_(std::move(put)),
      options_(options),
      queue_bytes_(options.memory_bytes / (3 + std::max(1U, options.uploads))),
      pack_bytes_(
          std::clamp<std::size_t>(queue_bytes_, kLeastPackBytes,
                                  std::max<std::size_t>(options.pack_bytes, kLeastPackBytes))) {
  for (unsigned i = 0; i < std::max(1U, options.workers); ++i) {
    workers_.emplace_back([this] { work(); });
  }
  for (unsigned i = 0; i < std::max(1U, options.uploads); ++i) {
    uploaders_.emplace_back([this] { upload(); });
  }
  on_stop_.emplace(stop, [this] { fail(Error(ErrorCode::cancelled, "cancelled")); });
}

SealPipeline::~SealPipeline() {
  on_stop_.reset();
  fail(Error(ErrorCode::cancelled, "the artifact was abandoned"));
  workers_.clear();
  uploaders_.clear();
}

void SealPipeline::fail(const Error& error) {
  {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = error;
    closed_ = true;
  }
  stop_.request_stop();
  uploads_.close();
  space_.notify_all();
  filled_.notify_all();
  settled_.notify_all();
}

// Requires: mutex_ is held.
void SealPipeline::require_sound() {
  if (failure_) throw *failure_;
}

void SealPipeline::account(std::int64_t bytes) {
  const auto held = static_cast<std::uint64_t>(held_bytes_.fetch_add(bytes) + bytes);
  if (bytes <= 0) return;
  std::uint64_t peak = peak_bytes_.load();
  while (held > peak && !peak_bytes_.compare_exchange_weak(peak, held)) {
  }
}

Bytes SealPipeline::take_buffer() {
  const std::scoped_lock lock(mutex_);
  if (buffers_.empty()) return {};
  Bytes buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void SealPipeline::recycle(Bytes buffer) {
  if (buffer.capacity() > kLargestKeptBuffer) return;
  buffer.clear();
  const std::scoped_lock lock(mutex_);
  if (buffers_.size() < kMostKeptBuffers) buffers_.push_back(std::move(buffer));
}

void SealPipeline::submit(Bytes plain, const std::shared_ptr<Receiver>& to, std::uint64_t slot) {
  const std::uint64_t size = plain.size();
  {
    std::unique_lock lock(mutex_);
    space_.wait(lock,
                [&] { return failure_ || queue_.empty() || queued_bytes_ + size <= queue_bytes_; });
    require_sound();
    if (closed_) throw Error(ErrorCode::internal, "a chunk was written after the end");
    queued_bytes_ += size;
    queue_.push_back({std::move(plain), to, slot, to->expect(slot)});
  }
  account(static_cast<std::int64_t>(size));
  filled_.notify_one();
}

void SealPipeline::wait(Receiver& receiver) {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return failure_ || receiver.complete(); });
  require_sound();
}

ChunkRef SealPipeline::store_chunk_lists(std::vector<ChunkRef> chunks) {
  for (unsigned level = 0;; ++level) {
    const auto lists = std::make_shared<Receiver>();
    std::span<const ChunkRef> rest(chunks);
    std::uint64_t count = 0;
    do {
      const std::size_t cut = chunk_list_cut(rest);
      submit(encode_chunk_list(level, rest.first(cut)), lists, count++);
      rest = rest.subspan(cut);
    } while (!rest.empty());
    wait(*lists);
    chunks = lists->take();
    if (count == 1) return chunks.front();
  }
}

void SealPipeline::work() {
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [&] { return closed_ || !queue_.empty(); });
      if (failure_ || queue_.empty()) return;
      item = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= item.plain.size();
    }
    space_.notify_one();
    const auto size = static_cast<std::int64_t>(item.plain.size());
    try {
      process(item);
    } catch (...) {
      fail(util::current_error());
      return;
    }
    account(-size);
    recycle(std::move(item.plain));
    if (item.to->complete()) {
      // Under the lock, or a waiter that has just looked would sleep through it.
      const std::scoped_lock lock(mutex_);
      settled_.notify_all();
    }
  }
}

void SealPipeline::process(Item& item) {
  const crypto::Tag tag = crypto::secret_tag(keys_.tag, item.plain);
  std::optional<ChunkId> id = index_.find_by_tag(tag);
  if (!id) {
    id = chunk_id(keys_, item.plain);
    if (claim(*id)) store(*id, item.plain);
    note_tag(tag, *id);
  }
  item.to->set(item.slot, item.turn, {*id, static_cast<std::uint32_t>(item.plain.size())});
}

// A tag may be remembered before its chunk is durable: find_by_tag() answers only chunks that are
// in the index.
void SealPipeline::note_tag(const crypto::Tag& tag, const ChunkId& id) {
  std::vector<std::pair<crypto::Tag, ChunkId>> full;
  {
    const std::scoped_lock lock(tags_mutex_);
    new_tags_.emplace_back(tag, id);
    if (new_tags_.size() >= kTagsPerBatch) full = std::exchange(new_tags_, {});
  }
  index_.remember_tags(full);
}

// True when the caller has to store the chunk. Claimed before it is looked up: put_pack() enters
// chunks into the index before it ends their claims, so a chunk is at every moment in at least one
// of the two.
bool SealPipeline::claim(const ChunkId& id) {
  {
    const std::scoped_lock lock(claims_mutex_);
    if (!claims_.insert(id).second) return false;
  }
  if (!index_.holds(id)) return true;
  const std::scoped_lock lock(claims_mutex_);
  claims_.erase(id);
  return false;
}

void SealPipeline::store(const ChunkId& id, ByteView plain) {
  thread_local Bytes record;
  const ChunkKind kind = make_record(keys_, id, plain, options_.compression_level, record);
  append({.id = id,
          .kind = static_cast<std::uint8_t>(kind),
          .offset = 0,
          .stored = static_cast<std::uint32_t>(record.size()),
          .plain = static_cast<std::uint32_t>(plain.size())},
         record);
}

void SealPipeline::append(const PackEntry& entry, ByteView record) {
  const std::scoped_lock lock(pack_mutex_);
  if (filling_.bytes() == 0) {
    Bytes buffer;
    const std::scoped_lock buffers(mutex_);
    if (!pack_buffers_.empty()) {
      buffer = std::move(pack_buffers_.back());
      pack_buffers_.pop_back();
    }
    filling_ = PackBuilder(pack_bytes_, std::move(buffer));
  }
  filling_.append(entry, record);
  account(static_cast<std::int64_t>(record.size()));
  if (filling_.bytes() >= pack_bytes_) hand_over();
}

// Requires: pack_mutex_ is held, and stays so while this blocks: nobody may begin a further pack
// while one waits.
void SealPipeline::hand_over() {
  if (filling_.empty()) return;
  if (!uploads_.push(std::exchange(filling_, {}))) {
    const std::scoped_lock lock(mutex_);
    require_sound();
  }
}

void SealPipeline::upload() {
  while (std::optional<PackBuilder> pack = uploads_.pop()) {
    try {
      put_pack(std::move(*pack));
    } catch (...) {
      fail(util::current_error());
      return;
    }
  }
}

void SealPipeline::put_pack(PackBuilder pack) {
  const auto records = static_cast<std::int64_t>(pack.bytes() - kPackHeaderBytes);
  pack.finish(keys_);
  const PackContents& contents = pack.contents();
  {
    // Before the put: prune must never see a pack of ours that it does not know to be ours.
    const std::scoped_lock lock(unlisted_mutex_);
    own_packs_.insert(contents.id);
  }
  util::kill_point("backup.before_pack");
  put_(pack_key(contents.id), pack.content(), stop_.get_token());
  util::kill_point("backup.after_pack");
  index_.add_pack(contents, false);
  added_bytes_ += pack.bytes();
  account(-records);
  {
    const std::scoped_lock lock(claims_mutex_);
    for (const PackEntry& entry : contents.entries) claims_.erase(entry.id);
  }
  {
    // Not pack_mutex_: hand_over() holds that while it waits for this thread.
    const std::scoped_lock lock(mutex_);
    pack_buffers_.push_back(pack.release());
  }
  std::vector<PackContents> full;
  {
    const std::scoped_lock lock(unlisted_mutex_);
    unlisted_.push_back(contents);
    if (unlisted_.size() >= kPacksPerSegment) full = std::exchange(unlisted_, {});
  }
  if (!full.empty()) write_segment(full);
}

void SealPipeline::write_segment(const std::vector<PackContents>& packs) {
  const std::string name = ids_.next();
  const std::string key = std::string(kIndexPrefix) + name;
  const Bytes object =
      seal_object(keys_.metadata, kIndexMagic, keys_.repository_id, key, encode_segment(packs));
  util::kill_point("backup.before_index");
  put_(key, object, stop_.get_token());
  std::vector<PackId> listed;
  for (const PackContents& pack : packs) listed.push_back(pack.id);
  index_.note_segment(name, listed);
  added_bytes_ += object.size();
}

void SealPipeline::finish() {
  {
    const std::scoped_lock lock(mutex_);
    require_sound();
    closed_ = true;
  }
  filled_.notify_all();
  workers_.clear();
  {
    const std::scoped_lock lock(pack_mutex_);
    hand_over();
  }
  uploads_.close();
  uploaders_.clear();
  {
    const std::scoped_lock lock(mutex_);
    require_sound();
  }
  if (!unlisted_.empty()) write_segment(std::exchange(unlisted_, {}));
  index_.remember_tags(std::exchange(new_tags_, {}));
}

std::set<PackId> SealPipeline::own_packs() {
  const std::scoped_lock lock(unlisted_mutex_);
  return own_packs_;
}

}  // namespace dbbackup::repository
