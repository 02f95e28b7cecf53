#include "repository/seal_pipeline.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "repository_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::test;

namespace {

struct Line {
  ManualClock clock{util::from_unix_ms(1'790'000'000'000)};
  util::UlidSource ids{clock};
  Keys keys{ids.next(), test_key(1)};
  LocalIndex index{{}, keys.repository_id};
};

// Incompressible, and different for every number.
Bytes numbered_chunk(const Bytes& noise, std::uint64_t number) {
  Bytes chunk;
  util::append_u64(chunk, number);
  chunk.insert(chunk.end(), noise.begin(), noise.end() - 8);
  return chunk;
}

}  // namespace

TEST_CASE("a store slower than the database makes it wait, and memory stays within the budget") {
  constexpr std::uint64_t kBudget = 8U << 20U;
  constexpr std::uint64_t kChunk = 64U << 10U;
  constexpr std::uint64_t kChunks = 512;  // four times the budget
  constexpr unsigned kWorkers = 2;
  Line line;
  std::atomic<SealPipeline*> pipeline{nullptr};
  std::uint64_t stored = 0;  // by the uploader's thread
  bool waited_in_vain = false;
  const auto slow_put = [&](const std::string&, ByteView content, const std::stop_token&) {
    // Nothing is stored before the writer has filled everything it may fill, nor soon after, so
    // that one that filled more would be seen.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (pipeline.load()->peak_bytes() < kBudget && !waited_in_vain) {
      waited_in_vain = std::chrono::steady_clock::now() > give_up;
      std::this_thread::yield();
    }
    for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
    stored += content.size();
  };
  SealPipeline sealing(line.keys, line.index, line.ids, slow_put,
                       {.workers = kWorkers, .memory_bytes = kBudget}, {});
  pipeline = &sealing;
  const Bytes noise = random_content(kChunk, 1);
  const auto arrived = std::make_shared<Receiver>();
  for (std::uint64_t i = 0; i < kChunks; ++i) sealing.submit(numbered_chunk(noise, i), arrived, i);
  sealing.wait(*arrived);
  sealing.finish();
  CHECK_FALSE(waited_in_vain);
  CHECK(stored > kChunks * kChunk);
  CHECK(sealing.added_bytes() == stored);
  // Besides the budget: one chunk in each worker's hands, and three packs that each took one more
  // record than fits.
  CHECK(sealing.peak_bytes() <= kBudget + (kWorkers + 3) * (kChunk + 100));
}

TEST_CASE("a chunk larger than the whole budget passes alone") {
  Line line;
  std::uint64_t stored = 0;
  SealPipeline sealing(line.keys, line.index, line.ids,
                       [&](const std::string&, ByteView content, const std::stop_token&) {
                         stored += content.size();
                       },
                       {.workers = 1, .memory_bytes = 1U << 20U}, {});
  const Bytes noise = random_content(kMaxChunkBytes, 1);
  const auto arrived = std::make_shared<Receiver>();
  for (std::uint64_t i = 0; i < 3; ++i) sealing.submit(numbered_chunk(noise, i), arrived, i);
  sealing.wait(*arrived);
  CHECK(arrived->take().size() == 3);
  sealing.finish();
  CHECK(stored > 3 * kMaxChunkBytes);
  // One queued, one in the worker's hands, and three packs of one chunk each.
  CHECK(sealing.peak_bytes() <= 5 * (kMaxChunkBytes + 100));
}
