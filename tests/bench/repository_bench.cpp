// How fast the repository alone is: pages like those of a database, against a local store in a
// temporary folder.
//   repository_bench [MiB=1024] [block KiB=64] [level=2] [folder=/var/tmp]
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "repository/repository.hpp"
#include "util/file.hpp"

namespace {

using namespace dbbackup;
using namespace dbbackup::repository;

// Rows of words and numbers, about 2.7 times compressible.
util::Bytes page(std::size_t size, std::uint64_t seed) {
  static const char* const kWords[] = {"alpha ",   "invoice ", "customer ", "berlin ",
                                       "pending ", "shipped ", "order ",    "street "};
  std::mt19937_64 random(seed);
  util::Bytes bytes;
  bytes.reserve(size + 64);
  while (bytes.size() < size) {
    for (int i = 0; i < 4; ++i) {
      const std::string_view word = kWords[random() % 8];
      bytes.insert(bytes.end(), word.begin(), word.end());
    }
    const std::uint64_t number = random();
    for (unsigned i = 0; i < 7; ++i) bytes.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
  }
  bytes.resize(size);
  return bytes;
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <typename Action>
void timed(const char* what, double megabytes, const Action& action) {
  const auto start = std::chrono::steady_clock::now();
  const double processor = processor_seconds();
  const std::uint64_t added = action();
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-8s %6.2f s  %7.0f MB/s  processor %5.2f s  stored %7.1f MB\n", what, wall,
              megabytes / wall, processor_seconds() - processor, static_cast<double>(added) / 1e6);
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int index, int fallback) {
    return static_cast<std::size_t>(count > index ? std::atoi(arguments[index]) : fallback);
  };
  const std::size_t total = number(1, 1024) << 20U;
  const std::size_t block = number(2, 64) << 10U;
  const int level = static_cast<int>(number(3, 2));
  const util::TemporaryFolder folder(count > 4 ? arguments[4] : "/var/tmp", "repository-bench");
  const util::SystemClock clock;
  util::UlidSource ids(clock);
  const crypto::Secret key(util::Bytes(32, 1));
  auto store = storage::open_local_store((folder.path() / "store").string());
  Repository::create(*store, key, {}, clock);
  Settings settings;
  settings.index_file = folder.path() / "index.db";
  settings.owner = "bench";
  settings.compression_level = level;
  const auto repository = Repository::open(std::move(store), {.daemon_key = key}, settings, clock);

  std::vector<util::Bytes> blocks;
  for (std::size_t i = 0; i < total / block; ++i) blocks.push_back(page(block, i));
  std::string newest;
  const auto back_up = [&] {
    util::QuietTask quiet;
    ArtifactIdentity identity;
    identity.id = newest = ids.next();
    identity.name = identity.database = identity.engine = "bench";
    identity.started = clock.now();
    const auto writer = repository->begin(identity, quiet.task());
    const auto stream = writer->open(
        "db", StreamKind::pages, {.columns = {}, .block_bytes = static_cast<std::uint32_t>(block)});
    for (std::size_t i = 0; i < blocks.size(); ++i) stream->write_block(i, blocks[i]);
    stream->close();
    return repository->commit(*writer, {}).added_bytes;
  };
  const double megabytes = static_cast<double>(total) / 1e6;
  timed("first", megabytes, back_up);
  for (std::size_t i = 0; i < blocks.size() / 100; ++i) blocks[i] = page(block, 1'000'000 + i);
  timed("second", megabytes, back_up);
  timed("read", megabytes, [&] {
    util::QuietTask quiet;
    std::uint64_t bytes = 0;
    repository->read(newest)->open("db")->read_all(
        [&](std::uint64_t, util::ByteView piece) { bytes += piece.size(); }, 2, quiet.task());
    if (bytes != total) std::abort();
    return std::uint64_t{0};
  });
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("peak resident %ld MiB, of which %zu MiB are the benchmark's own pages\n",
              usage.ru_maxrss / 1024, total >> 20U);
  return 0;
}
