#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "repository/format.hpp"
#include "repository_fixture.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::ErrorCode;

namespace {

// Whether a check of everything names the object.
bool check_names(Bench& bench, Repository& repository, const std::string& key) {
  const std::vector<Damage> damage = repository.check(100, bench.task()).damage;
  return std::any_of(damage.begin(), damage.end(),
                     [&](const Damage& each) { return each.object == key; });
}

// Whether opening the repository anew fails and says why.
bool refuses_to_open(Bench& bench, const std::string& key) {
  try {
    bench.open();
    return false;
  } catch (const util::Error& error) {
    return error.message().find(key) != std::string::npos;
  }
}

std::string one_key(Bench& bench, const std::string& prefix) {
  std::string key;
  bench.objects->list(prefix, [&](const storage::ObjectInfo& info) { key = info.key; });
  return key;
}

}  // namespace

TEST_CASE("a flipped bit in any byte, a cut and an extra byte are found and their object named") {
  Bench bench;
  const auto repository = bench.open();
  bench.back_up(*repository, {{"a", random_content(300, 1)}, {"b", Bytes(5000, 'b')}});
  const std::string gone = bench.back_up(*repository, {{"c", random_content(100, 2)}});
  repository->remove(gone);
  // Condemned and not deleted, because something that runs began before.
  const auto running = repository->begin(bench.identity(), bench.task());
  repository->prune(false, std::nullopt, bench.task());
  REQUIRE(repository->check(100, bench.task()).damage.empty());

  const std::map<std::string, Bytes> sound = bench.all_objects();
  for (const char* kind :
       {"config", "keys/", "owner", "packs/", "index/", "manifests/", "condemned/"}) {
    CHECK(bench.count(kind) > 0);
  }
  for (const auto& [key, content] : sound) {
    CAPTURE(key);
    const bool read_to_open = key == "config" || key == "owner";
    const auto expect_found = [&, &key = key](ByteView changed, std::string_view what,
                                              std::size_t at) {
      bench.objects->put(key, changed);
      if (!check_names(bench, *repository, key)) FAIL_CHECK(what << " at byte " << at);
      if (read_to_open && !refuses_to_open(bench, key)) FAIL_CHECK("opened: " << what << at);
    };
    for (std::size_t at = 0; at < content.size(); ++at) {
      Bytes changed = content;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1U << (at % 8)));
      expect_found(changed, "flip", at);
    }
    const std::size_t step = std::max<std::size_t>(1, content.size() / 20);
    for (std::size_t size = 0; size < content.size(); size += step) {
      expect_found(ByteView(content).first(size), "cut", size);
    }
    Bytes longer = content;
    longer.push_back('\n');
    expect_found(longer, "extra", content.size());
    bench.objects->put(key, content);
  }
  // All damage was repaired, and what was noted about packs meanwhile goes with a new look.
  CHECK(bench.open()->check(100, bench.task()).damage.empty());
}

TEST_CASE("a missing pack is named with the artifacts that need it, and the next backup heals it") {
  Bench bench;
  const auto repository = bench.open();
  const Bytes content = random_content(50'000, 1);
  const std::string first = bench.back_up(*repository, {{"a", content}});
  const std::string pack = one_key(bench, "packs/");
  const std::string second = bench.back_up(*repository, {{"b", random_content(50'000, 2)}});
  bench.objects->remove(pack);
  const CheckReport report = repository->check(0, bench.task());
  REQUIRE(report.damage.size() == 1);
  CHECK(report.damage[0].object == pack);
  CHECK(report.damage[0].problem == "missing");
  CHECK(report.damage[0].artifacts == std::vector<std::string>{first});
  const std::vector<Damage> damage = repository->verify(first, bench.task());
  REQUIRE(damage.size() == 1);
  CHECK(damage[0].object == pack);
  CHECK(repository->verify(second, bench.task()).empty());
  CHECK(code_of([&] { bench.read(*repository->read(first), "a"); }) ==
        ErrorCode::verification_failed);

  bench.back_up(*repository, {{"a", content}});
  CHECK(bench.read(*repository->read(first), "a") == content);
}

TEST_CASE("keys: what opens, what does not, and what says so") {
  Bench bench;
  const auto recovery = crypto::parse_printable_key(bench.created.recovery_key);
  REQUIRE(recovery);
  CHECK(bench.open({.recovery_key = *recovery})->id() == bench.created.repository_id);
  CHECK(code_of([&] { bench.open({.daemon_key = test_key(2)}); }) == ErrorCode::not_authorised);
  CHECK(code_of([&] { bench.open({.recovery_key = test_key(2)}); }) == ErrorCode::not_authorised);
  CHECK(code_of([&] { bench.open(Unlock{}); }) == ErrorCode::not_authorised);
  CHECK(code_of([&] { bench.open({.daemon_key = crypto::Secret::from_text("short")}); }) ==
        ErrorCode::not_authorised);

  const auto repository = bench.open();
  const auto pass = crypto::Secret::from_text("correct horse");
  const KeySlot slot = repository->add_passphrase(pass);
  CHECK(bench.open({.passphrase = pass})->id() == repository->id());
  CHECK(code_of([&] { bench.open({.passphrase = crypto::Secret::from_text("wrong")}); }) ==
        ErrorCode::not_authorised);
  CHECK(repository->key_slots().size() == 3);
  repository->remove_key_slot(slot.id);
  CHECK(code_of([&] { bench.open({.passphrase = pass}); }) == ErrorCode::not_authorised);
  CHECK(code_of([&] { repository->remove_key_slot(slot.id); }) == ErrorCode::not_found);
  repository->add_daemon_key(test_key(9));
  CHECK(bench.open({.daemon_key = test_key(9)})->id() == repository->id());
  const auto fresh = crypto::parse_printable_key(repository->new_recovery_key());
  CHECK(bench.open({.recovery_key = fresh.value()})->id() == repository->id());
  std::vector<KeySlot> slots = repository->key_slots();
  while (slots.size() > 1) {
    repository->remove_key_slot(slots.back().id);
    slots.pop_back();
  }
  CHECK(code_of([&] { repository->remove_key_slot(slots[0].id); }) == ErrorCode::refused);
}

TEST_CASE("stores without a repository, with one, and with a newer one") {
  Bench bench;
  CHECK(code_of([&] { Repository::create(*bench.objects, test_key(1), {}, bench.clock); }) ==
        ErrorCode::already_exists);
  util::json::Object config = decode_checked_json(bench.objects->get("config"));
  config["version"] = 99;
  bench.objects->put("config", encode_checked_json(config));
  CHECK(code_of([&] { bench.open(); }) == ErrorCode::unsupported);
  bench.objects->remove("config");
  CHECK(code_of([&] { bench.open(); }) == ErrorCode::not_found);
  CHECK_FALSE(Repository::exists(*bench.objects));
}

TEST_CASE("one daemon writes, another reads or takes over, and the first is fenced off") {
  Bench bench;
  const auto repository = bench.open();
  const std::string id = bench.back_up(*repository, {{"a", Bytes(10)}});
  const auto running = repository->begin(bench.identity(), bench.task());
  bench.settings.owner = "daemon-b";
  try {
    bench.open();
    FAIL("opened");
  } catch (const util::Error& error) {
    CHECK(error.code() == ErrorCode::conflict);
    CHECK(error.message().find("daemon-a") != std::string::npos);
    CHECK_FALSE(error.hint().empty());
  }
  bench.settings.writable = false;
  const auto reader = bench.open();
  CHECK(bench.read(*reader->read(id), "a") == Bytes(10));
  CHECK(code_of([&] { reader->begin(bench.identity(), bench.task()); }) == ErrorCode::conflict);
  CHECK(code_of([&] { reader->remove(id); }) == ErrorCode::conflict);

  Repository::take_over(*bench.objects, "daemon-b", bench.clock);
  bench.settings.writable = true;
  const auto owner = bench.open();
  CHECK(code_of([&] { repository->commit(*running, {}); }) == ErrorCode::conflict);
  CHECK(owner->list().size() == 1);
}

TEST_CASE("a pack of another repository is not taken for one of ours") {
  Bench bench;
  Bench other;
  bench.back_up(*bench.open(), {{"a", random_content(1000, 1)}});
  other.back_up(*other.open(), {{"a", random_content(1000, 1)}});
  const std::string foreign = one_key(other, "packs/");
  bench.objects->put(foreign, other.objects->get(foreign));
  const auto repository = bench.open();
  const CheckReport report = repository->check(100, bench.task());
  REQUIRE(report.damage.size() == 1);
  CHECK(report.damage[0].object == foreign);
  CHECK(report.damage[0].artifacts.empty());
}

TEST_CASE("the local index is a cache: lost, foreign or broken, it comes back") {
  Bench bench;
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  bench.settings.index_file = folder.path() / "index.db";
  const Bytes content = random_content(2'000'000, 1);
  const std::string id = bench.back_up(*bench.open(), {{"a", content}});
  const auto works = [&] {
    const auto repository = bench.open();
    CHECK(bench.read(*repository->read(id), "a") == content);
    // Everything is known again: the same content adds nothing.
    const auto writer = repository->begin(bench.identity(), bench.task());
    const auto stream = writer->open("a", StreamKind::bytes);
    stream->write(content);
    stream->close();
    CHECK(repository->commit(*writer, {}).added_bytes == 0);
  };
  works();
  std::filesystem::remove(bench.settings.index_file);
  works();
  util::write_file_atomically(bench.settings.index_file, random_content(8192, 7));
  works();
  {
    Bench other;
    other.settings.index_file = bench.settings.index_file;
    other.back_up(*other.open(), {{"x", Bytes(10)}});
  }
  works();
  SECTION("a damaged segment is made anew from trailers") {
    const std::string segment = one_key(bench, "index/");
    bench.objects->put(segment, Bytes(100));
    std::filesystem::remove(bench.settings.index_file);
    works();
    const auto repository = bench.open();
    CHECK(repository->check(0, bench.task()).damage.size() == 1);
    repository->rescan(bench.task());
    CHECK(repository->check(100, bench.task()).damage.empty());
    CHECK_FALSE(bench.objects->stat(segment));
    std::filesystem::remove(bench.settings.index_file);
    works();
  }
  SECTION("rescan refuses while something is written") {
    const auto repository = bench.open();
    const auto writer = repository->begin(bench.identity(), bench.task());
    CHECK(code_of([&] { repository->rescan(bench.task()); }) == ErrorCode::conflict);
  }
}

TEST_CASE(
    "a crash before the manifest leaves nothing visible, and the next run uses what was stored") {
  Bench bench;
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  bench.settings.index_file = folder.path() / "index.db";
  const Bytes content = random_content(3'000'000, 1);
  for (const char* fatal : {"packs/", "index/", "manifests/"}) {
    SharedStore* faulty = nullptr;
    const auto repository = bench.open(faulty);
    std::size_t packs = 0;
    bool fired = false;
    faulty->before_change = [&](const std::string& key) {
      if (key.starts_with("packs/")) ++packs;
      if (key.starts_with(fatal) && (packs > 2 || std::string_view(fatal) != "packs/")) {
        fired = true;
        throw util::Error(ErrorCode::no_space, "disk full");
      }
    };
    CHECK(code_of([&] { bench.back_up(*repository, {{"a", content}}); }) == ErrorCode::no_space);
    CHECK(fired);
    CHECK(repository->list().empty());
  }
  // Everything but the manifest is there: nothing is stored again, and a fresh reader finds it by
  // segments.
  const auto repository = bench.open();
  const std::size_t packs = bench.count("packs/");
  const std::string id = bench.back_up(*repository, {{"a", content}});
  CHECK(bench.count("packs/") == packs);
  bench.settings.index_file.clear();
  const auto fresh = bench.open();
  CHECK(bench.read(*fresh->read(id), "a") == content);
  CHECK(fresh->check(100, bench.task()).damage.empty());
}

TEST_CASE("a repository opened for reading writes nothing, sound or damaged") {
  Bench bench;
  const Bytes content = random_content(100'000, 1);
  std::string kept;
  {
    const auto repository = bench.open();
    kept = bench.back_up(*repository, {{"a", content}});
    repository->remove(bench.back_up(*repository, {{"b", random_content(100'000, 2)}}));
  }
  SECTION("sound") {}
  SECTION("never opened for writing since it was taken over") { bench.objects->remove("owner"); }
  SECTION("without its index") { bench.objects->remove(one_key(bench, "index/")); }
  SECTION("with a damaged index") { bench.objects->put(one_key(bench, "index/"), Bytes(100)); }
  const std::map<std::string, Bytes> before = bench.all_objects();

  bench.settings.writable = false;
  bench.settings.owner = "another";
  SharedStore* store = nullptr;
  const auto repository = bench.open(store);
  store->before_change = [](const std::string& key) {
    throw util::Error(ErrorCode::permission_denied, "read-only media: " + key);
  };
  REQUIRE(repository->list().size() == 1);
  CHECK(repository->find(kept));
  CHECK(bench.read(*repository->read(kept), "a") == content);
  CHECK(repository->verify(kept, bench.task()).empty());
  repository->check(100, bench.task());
  repository->rescan(bench.task());
  CHECK(repository->check(100, bench.task()).artifacts == 1);
  CHECK(repository->prune(true, std::nullopt, bench.task()).removable_bytes > 100'000);
  CHECK(repository->key_slots().size() == 2);
  CHECK(repository->usage().artifacts == 1);
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  const std::filesystem::path archive = folder.path() / "kept.dbk";
  repository->export_archive(kept, archive, {}, bench.task());

  const auto refused = [](const auto& action) { return code_of(action) == ErrorCode::conflict; };
  CHECK(refused([&] { repository->begin(bench.identity(), bench.task()); }));
  CHECK(refused([&] { repository->remove(kept); }));
  CHECK(refused([&] { repository->prune(false, std::nullopt, bench.task()); }));
  CHECK(refused([&] { repository->new_recovery_key(); }));
  CHECK(refused([&] { repository->add_daemon_key(test_key(2)); }));
  CHECK(refused([&] { repository->remove_key_slot(repository->key_slots()[0].id); }));
  CHECK(refused(
      [&] { repository->import_archive(archive, {.daemon_key = test_key(1)}, bench.task()); }));
  CHECK(bench.all_objects() == before);
}
