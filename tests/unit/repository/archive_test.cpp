#include <catch2/catch.hpp>
#include <filesystem>

#include "repository_fixture.hpp"
#include "util/file.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::ErrorCode;

TEST_CASE("an artifact travels in a file") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  const auto file = folder.path() / "a.dbbackup";
  Bench bench;
  const auto repository = bench.open();
  const std::map<std::string, Bytes> content = {
      {"a", random_content(3'000'000, 1)}, {"b", Bytes(100'000, 'b')}, {"empty", {}}};
  const std::string id = bench.back_up(*repository, content);
  const auto pass = crypto::Secret::from_text("for the road");
  repository->export_archive(id, file, pass, bench.task());
  const auto mode = std::filesystem::status(file).permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));

  const auto opens = [&](const Unlock& unlock) {
    const auto artifact = Repository::open_archive(file, unlock);
    CHECK(artifact->id() == id);
    for (const auto& [name, bytes] : content) CHECK(bench.read(*artifact, name) == bytes);
  };
  opens({.daemon_key = test_key(1)});
  opens({.passphrase = pass});
  opens({.recovery_key = crypto::parse_printable_key(bench.created.recovery_key).value()});
  CHECK(code_of([&] { opens({.daemon_key = test_key(2)}); }) == ErrorCode::not_authorised);
  CHECK(code_of([&] { opens({.passphrase = crypto::Secret::from_text("no")}); }) ==
        ErrorCode::not_authorised);
  CHECK(code_of([&] { repository->import_archive(file, {}, bench.task()); }) ==
        ErrorCode::already_exists);

  SECTION("back into its own repository, which needs to be told nothing") {
    const std::string root = repository->find(id)->root_hash;
    repository->remove(id);
    const Manifest manifest = repository->import_archive(file, {}, bench.task());
    CHECK(manifest.root_hash == root);
    CHECK(manifest.added_bytes == 0);
    CHECK(bench.read(*repository->read(id), "a") == content.at("a"));
  }
  SECTION("into another repository") {
    Bench other;
    const auto target = other.open();
    CHECK(code_of([&] { target->import_archive(file, {}, other.task()); }) ==
          ErrorCode::not_authorised);
    CHECK(target->import_archive(file, {.passphrase = pass}, other.task()).id == id);
    for (const auto& [name, bytes] : content) CHECK(other.read(*target->read(id), name) == bytes);
    CHECK(target->check(100, other.task()).damage.empty());
    // A child of the archive is as good as the original.
    target->export_archive(id, folder.path() / "b.dbbackup", {}, other.task());
  }
  SECTION("nothing is left behind when it is cancelled") {
    util::QuietTask quiet;
    quiet.stop_source().request_stop();
    CHECK(code_of([&] {
            repository->export_archive(id, folder.path() / "c.dbbackup", {}, quiet.task());
          }) == ErrorCode::cancelled);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()),
                        std::filesystem::directory_iterator()) == 1);
  }
}

TEST_CASE("a damaged archive is refused or fails to read, never different") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  const auto file = folder.path() / "a.dbbackup";
  const auto damaged = folder.path() / "damaged.dbbackup";
  Bench bench;
  const auto repository = bench.open();
  const Bytes content = random_content(500, 1);
  const std::string id = bench.back_up(*repository, {{"a", content}});
  repository->export_archive(id, file, {}, bench.task());
  const Bytes sound = util::read_file(file).value();
  const auto fails = [&](ByteView bytes) {
    util::write_file_atomically(damaged, bytes);
    const auto code = code_of([&] {
      Bench other;
      other.open()->import_archive(damaged, {.daemon_key = test_key(1)}, other.task());
    });
    return code == ErrorCode::verification_failed || code == ErrorCode::not_authorised ||
           code == ErrorCode::unsupported;
  };
  const auto reads_right = [&](ByteView bytes) {
    util::write_file_atomically(damaged, bytes);
    const auto artifact = Repository::open_archive(damaged, {.daemon_key = test_key(1)});
    return artifact->id() == id && bench.read(*artifact, "a") == content;
  };
  for (std::size_t size = 0; size < sound.size(); size += 31) {
    if (!fails(ByteView(sound).first(size))) FAIL_CHECK("cut to " << size);
  }
  for (std::size_t at = 0; at < sound.size(); at += 3) {
    Bytes changed = sound;
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1U << (at % 8)));
    // Some bytes are not needed to read this artifact: the other slots, the packs' trailers.
    if (!fails(changed) && !reads_right(changed)) FAIL_CHECK("flip at " << at);
  }
  Bytes longer = sound;
  longer.push_back(0);
  CHECK(fails(longer));
}
