#include "repository/chunker.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "repository_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::test;

namespace {

// Ends of the chunks of `content`, handed over in pieces.
std::vector<std::size_t> cuts(const GearTable& gear, const CutSizes& sizes, ByteView content,
                              std::size_t piece) {
  Cutter cutter(gear, sizes);
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < content.size();) {
    at += cutter.scan(content.subspan(at, std::min(piece, content.size() - at)));
    if (!cutter.found()) continue;
    ends.push_back(at);
    cutter.restart();
  }
  return ends;
}

std::vector<std::size_t> sizes_of(const std::vector<std::size_t>& ends) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    sizes.push_back(ends[i] - (i == 0 ? 0 : ends[i - 1]));
  }
  return sizes;
}

// Where a stream of rows is cut in a repository of its own.
std::vector<std::uint64_t> stored_cuts(Bench& bench, Repository& repository, ByteView rows,
                                       std::size_t row) {
  const ArtifactIdentity who = bench.identity();
  const auto writer = repository.begin(who, bench.task());
  const auto stream = writer->open("data", StreamKind::lines);
  for (std::size_t at = 0; at < rows.size(); at += row) {
    stream->write(rows.subspan(at, row));
    stream->end_row();
  }
  stream->close();
  repository.commit(*writer, {});
  const auto reader = repository.read(who.id)->open("data");
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; i <= reader->chunk_count(); ++i) {
    offsets.push_back(reader->chunk_offset(i));
  }
  return offsets;
}

}  // namespace

TEST_CASE("cuts keep the minimum and the maximum, and the average is near the wanted one") {
  const GearTable gear(test_key(1));
  const Bytes content = random_content(8'000'000, 1);
  const std::vector<std::size_t> ends = cuts(gear, kRowCuts, content, content.size());
  for (const std::size_t size : sizes_of(ends)) {
    CHECK(size >= kRowCuts.least);
    CHECK(size <= kRowCuts.most);
  }
  const std::size_t average = ends.back() / ends.size();
  CHECK(average > kRowCuts.average * 3 / 4);
  CHECK(average < kRowCuts.average * 3 / 2);
}

TEST_CASE("content without any match is cut at the maximum") {
  // A table of which one value never matches: found by trying, as it depends on the key.
  const GearTable gear(test_key(1));
  for (unsigned byte = 0; byte < 256; ++byte) {
    const Bytes content(2 * kRowCuts.most, static_cast<std::uint8_t>(byte));
    const std::vector<std::size_t> ends = cuts(gear, kRowCuts, content, content.size());
    if (ends.front() == kRowCuts.least) continue;
    CHECK(ends == std::vector<std::size_t>{kRowCuts.most, 2 * kRowCuts.most});
    return;
  }
  FAIL("every byte matches at once");
}

TEST_CASE("cuts depend on the bytes alone and not on the pieces they come in") {
  const GearTable gear(test_key(1));
  const Bytes content = random_content(1'000'000, 2);
  const std::vector<std::size_t> whole = cuts(gear, kRowCuts, content, content.size());
  CHECK(whole.size() > 5);
  for (const std::size_t piece : {1, 63, 4096, 16320, 70'000}) {
    CHECK(cuts(gear, kRowCuts, content, piece) == whole);
  }
}

TEST_CASE("after an insertion the cuts are found again") {
  const GearTable gear(test_key(1));
  Bytes content = random_content(4'000'000, 3);
  const std::vector<std::size_t> before = cuts(gear, kRowCuts, content, content.size());
  content.insert(content.begin() + 1'000'000, 7, 'x');
  const std::vector<std::size_t> after = cuts(gear, kRowCuts, content, content.size());
  std::set<std::size_t> moved;
  for (const std::size_t end : before) moved.insert(end < 1'000'000 ? end : end + 7);
  const auto same = std::count_if(after.begin(), after.end(),
                                  [&](std::size_t end) { return moved.contains(end); });
  CHECK(static_cast<std::size_t>(same) + 5 > before.size());
}

TEST_CASE("every key cuts elsewhere") {
  const Bytes content = random_content(2'000'000, 4);
  CHECK(cuts(GearTable(test_key(1)), kRowCuts, content, content.size()) ==
        cuts(GearTable(test_key(1)), kRowCuts, content, content.size()));
  CHECK(cuts(GearTable(test_key(1)), kRowCuts, content, content.size()) !=
        cuts(GearTable(test_key(2)), kRowCuts, content, content.size()));
}

TEST_CASE("streams of rows are cut at row ends, elsewhere in every repository") {
  constexpr std::size_t kRow = 1000;
  Bytes rows = random_content(2'000 * kRow, 5);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == '\n') rows[i] = ' ';
    if (i % kRow == kRow - 1) rows[i] = '\n';
  }
  Bench one;
  Bench other;
  const auto repository = one.open();
  const std::vector<std::uint64_t> cut = stored_cuts(one, *repository, rows, kRow);
  CHECK(cut.size() > 10);
  CHECK(cut.back() == rows.size());
  for (std::size_t i = 1; i < cut.size(); ++i) {
    CHECK(cut[i] % kRow == 0);
    CHECK(cut[i] - cut[i - 1] < kRowCuts.most + kRow);
    if (i + 1 < cut.size()) CHECK(cut[i] - cut[i - 1] >= kRowCuts.least);
  }
  CHECK(stored_cuts(one, *repository, rows, kRow) == cut);
  CHECK(stored_cuts(other, *other.open(), rows, kRow) != cut);
}
