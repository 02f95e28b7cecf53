// tests/golden/repository-v1 must open for ever. It was made once by the hidden test case below:
//   DBBACKUP_GOLDEN=FOLDER unit_tests '[make-golden]'
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "repository_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::test;

namespace {

std::string golden_rows() {
  std::string rows;
  for (int i = 0; i < 2000; ++i)
    rows += std::to_string(i) + "\trow number " + std::to_string(i * 7) + "\n";
  return rows;
}

const crypto::Secret& golden_passphrase() {
  static const crypto::Secret pass = crypto::Secret::from_text("golden");
  return pass;
}

Settings golden_settings(bool writable) {
  Settings settings;
  settings.owner = "golden";
  settings.writable = writable;
  return settings;
}

}  // namespace

TEST_CASE("make the golden repository", "[.make-golden]") {
  const char* folder = std::getenv("DBBACKUP_GOLDEN");
  REQUIRE(folder != nullptr);
  ManualClock clock(util::from_unix_ms(1'790'000'000'000));
  util::UlidSource ids(clock);
  auto store = storage::open_local_store(folder);
  Repository::create(*store, test_key(1), golden_passphrase(), clock);
  const auto repository =
      Repository::open(std::move(store), {.daemon_key = test_key(1)}, golden_settings(true), clock);
  util::QuietTask quiet;
  ArtifactIdentity identity;
  identity.id = ids.next();
  identity.name = "golden@host";
  identity.database = "golden";
  identity.engine = "test";
  identity.started = clock.now();
  const auto writer = repository->begin(identity, quiet.task());
  const auto lines =
      writer->open("data/main.t", StreamKind::lines, {.columns = {"id", "text"}, .block_bytes = 0});
  std::size_t start = 0;
  const std::string rows = golden_rows();
  for (std::size_t end = rows.find('\n'); end != std::string::npos; end = rows.find('\n', start)) {
    lines->write(util::as_bytes(std::string_view(rows).substr(start, end + 1 - start)));
    lines->end_row();
    start = end + 1;
  }
  lines->close();
  const auto pages =
      writer->open("database", StreamKind::pages, {.columns = {}, .block_bytes = 4096});
  for (unsigned i = 0; i < 3; ++i) pages->write_block(i, Bytes(4096, static_cast<std::uint8_t>(i)));
  pages->close();
  const auto blob = writer->open("meta/blob", StreamKind::bytes);
  blob->write(random_content(1000, 1));
  blob->close();
  repository->commit(*writer, {});
}

TEST_CASE("the golden repository opens") {
  std::filesystem::path golden = DBBACKUP_SOURCE_DIR;
  golden /= "tests/golden/repository-v1";
  REQUIRE(std::filesystem::exists(golden / "config"));
  ManualClock clock(util::from_unix_ms(1'790'000'000'000));
  for (const Unlock& unlock :
       {Unlock{.daemon_key = test_key(1)}, Unlock{.passphrase = golden_passphrase()}}) {
    const auto repository =
        Repository::open(storage::open_local_store(golden.string(), storage::StoreMode::read),
                         unlock, golden_settings(false), clock);
    const std::vector<Manifest> manifests = repository->list();
    REQUIRE(manifests.size() == 1);
    util::QuietTask quiet;
    CHECK(repository->check(100, quiet.task()).damage.empty());
    const auto artifact = repository->read(manifests[0].id);
    const auto content = [&](const std::string& name) {
      Bytes all;
      artifact->open(name)->read_all(
          [&](std::uint64_t, ByteView piece) { all.insert(all.end(), piece.begin(), piece.end()); },
          1, quiet.task());
      return all;
    };
    CHECK(content("data/main.t") == util::to_bytes(golden_rows()));
    CHECK(content("database").size() == 3 * 4096);
    CHECK(content("meta/blob") == random_content(1000, 1));
    CHECK(manifests[0].streams[0].rows == 2000);
  }
}
