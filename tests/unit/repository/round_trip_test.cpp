#include <catch2/catch.hpp>
#include <thread>

#include "repository_fixture.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::ErrorCode;

namespace {

Bytes some_row(std::mt19937_64& random, std::size_t most) {
  std::string row;
  const std::size_t size = random() % most;
  while (row.size() < size) row += std::to_string(random());
  return util::to_bytes(row + "\n");
}

std::vector<Bytes> some_rows(std::size_t count, unsigned seed, std::size_t most = 400) {
  std::mt19937_64 random(seed);
  std::vector<Bytes> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back(some_row(random, most));
  return rows;
}

StreamInfo write_rows(ArtifactWriter& writer, const std::string& name,
                      const std::vector<Bytes>& rows, StreamKind kind = StreamKind::lines) {
  const auto stream = writer.open(name, kind, {.columns = {"a", "b"}, .block_bytes = 0});
  for (const Bytes& row : rows) {
    stream->write(row);
    stream->end_row();
  }
  return stream->close();
}

Bytes joined(const std::vector<Bytes>& rows) {
  Bytes all;
  for (const Bytes& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

}  // namespace

TEST_CASE("every kind of stream comes back as it went in") {
  Bench bench;
  const auto repository = bench.open();
  const ArtifactIdentity who = bench.identity();
  const auto writer = repository->begin(who, bench.task());
  const std::vector<Bytes> rows = some_rows(5000, 1);
  const std::vector<Bytes> documents = some_rows(3000, 2);
  const Bytes blob = random_content(9'000'000, 3);
  const Bytes pages = random_content(10 * 65536 + 100, 4);
  const StreamInfo lines_info = write_rows(*writer, "data/main.t", rows);
  write_rows(*writer, "data/docs", documents, StreamKind::bson);
  {
    const auto stream = writer->open("wal", StreamKind::bytes);
    for (std::size_t at = 0; at < blob.size(); at += 100'003) {
      stream->write(ByteView(blob).subspan(at, std::min<std::size_t>(100'003, blob.size() - at)));
    }
    stream->close();
    const auto paged =
        writer->open("pages", StreamKind::pages, {.columns = {}, .block_bytes = 65536});
    paged->write_block(0, Bytes(65536, 7));  // replaced below, as SQLite's first page is
    for (std::size_t block = 11; block-- > 0;) {
      const std::size_t at = block * 65536;
      paged->write_block(
          block, ByteView(pages).subspan(at, std::min<std::size_t>(65536, pages.size() - at)));
    }
    CHECK(paged->close().bytes == pages.size());
    CHECK(writer->open("empty", StreamKind::lines)->close().chunks == 0);
    CHECK(writer->open("no pages", StreamKind::pages, {.columns = {}, .block_bytes = 4096})
              ->close()
              .bytes == 0);
  }
  Summary summary;
  summary.server_version = "3.40";
  summary.skipped = {{"x", "locked"}};
  summary.warnings = {"w"};
  summary.engine_data["page_size"] = 4096;
  RowHash hash;
  for (const Bytes& row : rows) hash.add(ByteView(row).first(row.size() - 1));
  summary.proof = {{"t", hash}};
  summary.rows = 5000;
  const Committed committed = repository->commit(*writer, summary);
  CHECK(committed.manifest.rows == 5000);
  CHECK(committed.added_bytes > 9'000'000);
  CHECK(lines_info.hash == hash.hex());
  CHECK(lines_info.rows == 5000);

  const auto artifact = repository->read(who.id);
  CHECK(artifact->engine() == "test");
  CHECK(artifact->summary().proof == summary.proof);
  CHECK(artifact->summary().skipped == summary.skipped);
  CHECK(artifact->summary().engine_data == summary.engine_data);
  REQUIRE(artifact->streams().size() == 6);
  for (const unsigned workers : {0U, 1U, 3U}) {
    CHECK(bench.read(*artifact, "data/main.t", workers) == joined(rows));
    CHECK(bench.read(*artifact, "data/docs", workers) == joined(documents));
    CHECK(bench.read(*artifact, "wal", workers) == blob);
    CHECK(bench.read(*artifact, "pages", workers) == pages);
    CHECK(bench.read(*artifact, "empty", workers).empty());
  }
  const auto stream = artifact->open("pages");
  CHECK(stream->chunk_count() == 11);
  CHECK(stream->chunk_offset(11) == pages.size());
  CHECK(stream->read_chunk(10, {}) == Bytes(pages.end() - 100, pages.end()));
  CHECK(code_of([&] { artifact->open("nothing"); }) == ErrorCode::not_found);
  CHECK(repository->verify(who.id, bench.task()).empty());
  CHECK(repository->check(100, bench.task()).damage.empty());
  CHECK(repository->list().size() == 1);
  CHECK(repository->usage().artifacts == 1);
}

TEST_CASE(
    "pieces of a row stream hold whole rows, and an insertion in the middle shares the rest") {
  Bench bench;
  const auto repository = bench.open();
  std::vector<Bytes> rows = some_rows(40'000, 5, 200);
  const auto first = repository->begin(bench.identity(), bench.task());
  write_rows(*first, "t", rows);
  const Committed whole = repository->commit(*first, {});
  const auto artifact = repository->read(whole.manifest.id);
  const auto stream = artifact->open("t");
  std::size_t pieces = 0;
  stream->read_all(
      [&](std::uint64_t, ByteView piece) {
        ++pieces;
        REQUIRE(piece.back() == '\n');
      },
      2, bench.task());
  const std::uint64_t average = stream->info().bytes / pieces;
  CHECK(average > 32'000);
  CHECK(average < 130'000);

  rows.insert(rows.begin() + 20'000, util::to_bytes("inserted\n"));
  const auto second = repository->begin(bench.identity(), bench.task());
  write_rows(*second, "t", rows);
  const Committed changed = repository->commit(*second, {});
  CHECK(changed.added_bytes * 8 < whole.added_bytes);
  CHECK(changed.manifest.root_hash != whole.manifest.root_hash);

  const auto third = repository->begin(bench.identity(), bench.task());
  write_rows(*third, "t", rows);
  const Committed same = repository->commit(*third, {});
  CHECK(same.added_bytes == 0);
  CHECK(same.manifest.root_hash == changed.manifest.root_hash);
}

TEST_CASE("a row larger than any chunk passes and keeps its hash") {
  Bench bench;
  const auto repository = bench.open();
  const auto writer = repository->begin(bench.identity(), bench.task());
  Bytes row(10'000'000, 'x');
  row.back() = '\n';
  const auto stream = writer->open("t", StreamKind::lines);
  stream->write(util::as_bytes("small\n"));
  stream->end_row();
  stream->write(row);
  stream->end_row();
  // Exactly the largest chunk: a row that just fits is not split.
  Bytes exact(4U << 20U, 'y');
  exact.back() = '\n';
  stream->write(exact);
  stream->end_row();
  const StreamInfo info = stream->close();
  RowHash hash;
  hash.add(util::as_bytes("small"));
  hash.add(ByteView(row).first(row.size() - 1));
  hash.add(ByteView(exact).first(exact.size() - 1));
  CHECK(info.hash == hash.hex());
  CHECK(info.rows == 3);
  const Committed committed = repository->commit(*writer, {});
  const auto artifact = repository->read(committed.manifest.id);
  CHECK(bench.read(*artifact, "t").size() == 6 + row.size() + exact.size());
}

TEST_CASE("misuse of writers is refused") {
  Bench bench;
  const auto repository = bench.open();
  const auto writer = repository->begin(bench.identity(), bench.task());
  const auto lines = writer->open("t", StreamKind::lines);
  CHECK(code_of([&] { writer->open("t", StreamKind::lines); }) == ErrorCode::internal);
  CHECK(code_of([&] { writer->open("", StreamKind::lines); }) == ErrorCode::internal);
  CHECK(code_of([&] { lines->write_block(0, Bytes(1)); }) == ErrorCode::internal);
  lines->write(util::as_bytes("no end"));
  CHECK(code_of([&] { lines->end_row(); }) == ErrorCode::internal);
  CHECK(code_of([&] { lines->close(); }) == ErrorCode::internal);
  CHECK(code_of([&] { repository->commit(*writer, {}); }) == ErrorCode::internal);
  CHECK(code_of([&] { writer->open("p", StreamKind::pages); }) == ErrorCode::internal);
  const auto pages = writer->open("p", StreamKind::pages, {.columns = {}, .block_bytes = 512});
  CHECK(code_of([&] { pages->write(Bytes(1)); }) == ErrorCode::internal);
  CHECK(code_of([&] { pages->end_row(); }) == ErrorCode::internal);
  CHECK(code_of([&] { pages->write_block(0, Bytes(513)); }) == ErrorCode::internal);
  pages->write_block(1, Bytes(512));
  CHECK(code_of([&] { pages->close(); }) == ErrorCode::internal);  // block 0 is missing
}

TEST_CASE("a dropped stream is not part of the artifact") {
  Bench bench;
  const auto repository = bench.open();
  const auto writer = repository->begin(bench.identity(), bench.task());
  {
    const auto dropped = writer->open("dropped", StreamKind::bytes);
    dropped->write(Bytes(100));
  }
  writer->open("kept", StreamKind::bytes)->close();
  CHECK(repository->commit(*writer, {}).manifest.streams.size() == 1);
}

TEST_CASE("several streams and two artifacts at once") {
  Bench bench;
  const auto repository = bench.open();
  std::vector<std::string> artifacts(2);
  std::vector<Bytes> contents;
  for (unsigned i = 0; i < 4; ++i) contents.push_back(random_content(1'500'000, 100 + i));
  {
    std::vector<std::jthread> runs;
    for (unsigned run = 0; run < 2; ++run) {
      const ArtifactIdentity who = bench.identity();
      artifacts[run] = who.id;
      runs.emplace_back([&, who] {
        util::QuietTask quiet;
        const auto writer = repository->begin(who, quiet.task());
        {
          std::vector<std::jthread> readers;
          for (unsigned i = 0; i < 4; ++i) {
            readers.emplace_back([&, i] {
              const auto stream = writer->open("s" + std::to_string(i), StreamKind::bytes);
              stream->write(contents[i]);
              stream->close();
            });
          }
        }
        repository->commit(*writer, {});
      });
    }
    runs.emplace_back([&] {
      util::QuietTask quiet;
      repository->prune(false, std::nullopt, quiet.task());
    });
  }
  for (const std::string& id : artifacts) {
    const auto artifact = repository->read(id);
    for (unsigned i = 0; i < 4; ++i) {
      CHECK(bench.read(*artifact, "s" + std::to_string(i)) == contents[i]);
    }
    CHECK(repository->verify(id, bench.task()).empty());
  }
}

TEST_CASE("a stopped task cancels") {
  Bench bench;
  const auto repository = bench.open();
  util::QuietTask quiet;
  const auto writer = repository->begin(bench.identity(), quiet.task());
  const auto stream = writer->open("s", StreamKind::bytes);
  quiet.stop_source().request_stop();
  CHECK(code_of([&] {
          stream->write(random_content(9'000'000, 1));
          stream->close();
        }) == ErrorCode::cancelled);
}
