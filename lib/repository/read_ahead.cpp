#include "repository/read_ahead.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace dbbackup::repository {

using util::Bytes;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::uint64_t kRequestBytes = 4U << 20U;
constexpr std::uint64_t kAheadBytes = 16U << 20U;  // per worker

struct Opened {
  Bytes plain;
  std::optional<Problem> problem;
};

// Neighbouring chunks of one pack, or one chunk that the index does not know.
struct Request {
  std::uint64_t first = 0;  // index in the list
  PackId pack{};
  std::vector<PackEntry> entries;  // empty: unknown
};

class ReadAhead {
 public:
  ReadAhead(const ChunkSource& source, std::span<const ChunkRef> chunks,
            const ReadAheadOptions& options, const std::stop_token& stop)
      : source_(source),
        chunks_(chunks),
        verify_(options.verify),
        limit_(kAheadBytes * std::max(1U, options.workers)),
        stop_(stop) {
    for (unsigned i = 0; i < std::max(1U, options.workers); ++i) {
      workers_.emplace_back([this] { work(); });
    }
  }
  ~ReadAhead() {
    finish();
    workers_.clear();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  Opened next(std::uint64_t index) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return failure_ || opened_.contains(index); });
    if (failure_) throw *failure_;
    Opened opened = std::move(opened_.extract(index).mapped());
    ahead_bytes_ -= chunks_[index].plain;
    lock.unlock();
    space_.notify_all();
    return opened;
  }

  void recycle(Bytes buffer) {
    const std::scoped_lock lock(mutex_);
    if (buffers_.size() < kMostBuffers) buffers_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kMostBuffers = 256;

  void finish() {
    const std::scoped_lock lock(mutex_);
    done_ = true;
    space_.notify_all();
  }

  void work() {
    try {
      while (const std::optional<Request> request = plan()) serve(*request);
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!failure_) failure_ = util::current_error();
      done_ = true;
      ready_.notify_all();
      space_.notify_all();
    }
  }

  // The next request, as soon as there is room for what it brings; empty when nothing is left.
  std::optional<Request> plan() {
    const std::scoped_lock one_at_a_time(planning_);
    {
      std::unique_lock lock(mutex_);
      space_.wait(lock, [&] { return done_ || ahead_bytes_ < limit_; });
      if (done_ || planned_ == chunks_.size()) return std::nullopt;
    }
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "cancelled");
    Request request{.first = planned_, .pack = {}, .entries = {}};
    std::uint64_t stored = 0;
    std::uint64_t plain = 0;
    std::uint64_t next = planned_;
    while (next < chunks_.size()) {
      const std::optional<Location> location = locate(next);
      const bool fits = location && (request.entries.empty() ||
                                     (location->pack == request.pack &&
                                      location->entry.offset == request.entries.back().offset +
                                                                    request.entries.back().stored &&
                                      stored + location->entry.stored <= kRequestBytes));
      if (!fits) break;
      request.pack = location->pack;
      request.entries.push_back(location->entry);
      stored += location->entry.stored;
      plain += chunks_[next++].plain;
      if (plain >= kAheadBytes / 2) break;
    }
    if (request.entries.empty()) plain = chunks_[next++].plain;
    planned_ = next;
    const std::scoped_lock lock(mutex_);
    ahead_bytes_ += plain;
    return request;
  }

  // The chunk behind the end of a request is looked up for it and again for the next one; once is
  // enough.
  std::optional<Location> locate(std::uint64_t index) {
    if (peeked_index_ != index || !peeked_) {
      peeked_ = source_.locate(chunks_[index].id);
      peeked_index_ = index;
    }
    return peeked_;
  }

  void serve(const Request& request) {
    const std::size_t count = std::max<std::size_t>(1, request.entries.size());
    std::vector<Bytes> plain(count);
    std::vector<std::optional<Problem>> problems(count);
    if (request.entries.empty()) {
      problems[0] = unknown_chunk(chunks_[request.first].id);
    } else {
      {
        const std::scoped_lock lock(mutex_);
        for (Bytes& buffer : plain) {
          if (buffers_.empty()) break;
          buffer = std::move(buffers_.back());
          buffers_.pop_back();
        }
      }
      source_.read_neighbours(request.pack, request.entries, verify_, plain, problems, stop_);
    }
    for (std::size_t i = 0; i < count; ++i) settle(request, i, plain[i], problems[i]);
    {
      const std::scoped_lock lock(mutex_);
      for (std::size_t i = 0; i < count; ++i) {
        opened_[request.first + i] = {std::move(plain[i]), std::move(problems[i])};
      }
    }
    ready_.notify_all();
  }

  // Prune may have moved chunks between plan() and the read; ChunkSource::read() looks again.
  void settle(const Request& request, std::size_t i, Bytes& plain,
              std::optional<Problem>& problem) {
    const ChunkRef& chunk = chunks_[request.first + i];
    if (problem && !request.entries.empty()) {
      const std::optional<Location> now = source_.locate(chunk.id);
      if (now && now->pack != request.pack) {
        problem.reset();
        source_.read_neighbours(now->pack, {&now->entry, 1}, verify_, {&plain, 1}, {&problem, 1},
                                stop_);
      }
    }
    if (!problem && plain.size() != chunk.plain) {
      problem = Problem{pack_key(request.pack),
                        Error(ErrorCode::verification_failed,
                              "a chunk has another length than its chunk list says")};
    }
  }

  const ChunkSource& source_;
  const std::span<const ChunkRef> chunks_;
  const bool verify_;
  const std::uint64_t limit_;
  const std::stop_token stop_;

  std::mutex planning_;  // planned_, peeked_
  std::uint64_t planned_ = 0;
  std::uint64_t peeked_index_ = 0;
  std::optional<Location> peeked_;

  std::mutex mutex_;
  std::condition_variable space_;
  std::condition_variable ready_;
  std::uint64_t ahead_bytes_ = 0;
  bool done_ = false;
  std::optional<Error> failure_;
  std::map<std::uint64_t, Opened> opened_;
  std::vector<Bytes> buffers_;
  std::vector<std::jthread> workers_;
};

}  // namespace

void read_in_order(const ChunkSource& source, std::span<const ChunkRef> chunks,
                   const ReadAheadOptions& options, const std::stop_token& stop,
                   const TakeChunk& take) {
  if (chunks.empty()) return;
  ReadAheadOptions fitting = options;
  fitting.workers =
      static_cast<unsigned>(std::min<std::uint64_t>(std::max(1U, options.workers), chunks.size()));
  ReadAhead ahead(source, chunks, fitting, stop);
  for (std::uint64_t i = 0; i < chunks.size(); ++i) {
    Opened opened = ahead.next(i);
    take(i, opened.plain, opened.problem);
    ahead.recycle(std::move(opened.plain));
  }
}

}  // namespace dbbackup::repository
