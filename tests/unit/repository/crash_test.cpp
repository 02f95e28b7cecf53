// A daemon that dies, or a store that fails, at any put and any remove of a prune or a backup: what
// is left is sound, and the next prune finishes the work.
#include <catch2/catch.hpp>
#include <filesystem>

#include "repository_fixture.hpp"
#include "util/file.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::ErrorCode;
namespace fs = std::filesystem;

namespace {

// How the store fails at one change and at every later one.
enum class Failure { before_effect, after_effect };
// What comes after it.
enum class Sequel { restart, restart_without_index, same_process };

// Arms `store` so that change number `fatal`, counted from one, fails.
void arm(SharedStore& store, std::size_t fatal, Failure failure, std::size_t& changes) {
  changes = 0;
  const auto fail_from = [fatal](std::size_t number) {
    if (number >= fatal) throw util::Error(ErrorCode::io, "the store has gone");
  };
  store.before_change = [=, &changes](const std::string&) {
    ++changes;
    // Nothing that comes after the fatal change reaches the store.
    if (failure == Failure::before_effect || changes > fatal) fail_from(changes);
  };
  store.after_change = [=, &changes](const std::string&) { fail_from(changes); };
}

void disarm(SharedStore& store) {
  store.before_change = nullptr;
  store.after_change = nullptr;
}

// A repository before a prune that has everything to do: a pack to delete, one to repack, one to
// keep, and a segment that lists a dead pack beside a live one. It can be put back into this state.
class Scene {
 public:
  Scene() {
    bench.settings.pack_bytes = 256U << 10U;
    bench.settings.index_file = folder_.path() / "index.db";
    {
      const auto repository = bench.open();
      const std::string mixed =
          bench.back_up(*repository, {{"a", small_}, {"b", random_content(120'000, 2)}});
      live_[bench.back_up(*repository, {{"a", small_}})] = {{"a", small_}};
      const std::string dead = bench.back_up(*repository, {{"c", dead_}});
      const Bytes large = random_content(600'000, 4);
      live_[bench.back_up(*repository, {{"d", large}})] = {{"d", large}};
      const std::string half =
          bench.back_up(*repository, {{"d", large}, {"e", random_content(600'000, 5)}});
      repository->remove(mixed);
      repository->remove(dead);
      repository->remove(half);
    }
    objects_ = bench.all_objects();
    fs::copy_file(bench.settings.index_file, folder_.path() / "saved.db");
  }

  void restore() {
    bench.objects = storage::open_memory_store();
    for (const auto& [key, content] : objects_) bench.objects->put(key, content);
    for (const char* suffix : {"-wal", "-shm"}) {
      fs::remove(bench.settings.index_file.string() + suffix);
    }
    fs::copy_file(folder_.path() / "saved.db", bench.settings.index_file,
                  fs::copy_options::overwrite_existing);
  }

  void add_live(const std::string& artifact, std::map<std::string, Bytes> streams) {
    live_[artifact] = std::move(streams);
  }
  void forget(const std::string& artifact) { live_.erase(artifact); }

  // Everything an artifact needs is there, and nothing is called damaged, whoever looks.
  void require_sound(Repository& repository) {
    const auto look = [this](Repository& by) {
      for (const Damage& damage : by.check(100, bench.task()).damage) {
        FAIL_CHECK(damage.object << ": " << damage.problem);
      }
      REQUIRE(by.list().size() == live_.size());
      for (const auto& [artifact, streams] : live_) {
        REQUIRE(by.verify(artifact, bench.task()).empty());
        for (const auto& [name, content] : streams) {
          REQUIRE(bench.read(*by.read(artifact), name) == content);
        }
      }
    };
    look(repository);
    Settings fresh = bench.settings;
    fresh.index_file.clear();
    fresh.writable = false;
    look(*Repository::open(std::make_unique<SharedStore>(bench.objects),
                           {.daemon_key = test_key(1)}, fresh, bench.clock));
  }

  // One more prune, and nothing is left to do.
  void require_finished_by_prune(Repository& repository) {
    repository.prune(false, std::nullopt, bench.task());
    require_sound(repository);
    const PruneReport rest = repository.prune(true, std::nullopt, bench.task());
    CHECK(rest.removable_bytes == 0);
    CHECK(rest.condemned_packs.empty());
    CHECK(bench.count("condemned/") == 0);
  }

  Bench bench;
  const Bytes& dead_content() const { return dead_; }

 private:
  const util::TemporaryFolder folder_{fs::temp_directory_path(), "dbbackup-test"};
  const Bytes small_ = random_content(20'000, 1);
  const Bytes dead_ = random_content(60'000, 3);
  std::map<std::string, Bytes> objects_;
  std::map<std::string, std::map<std::string, Bytes>> live_;
};

// After the failure: the repository as the next prune or backup meets it.
std::unique_ptr<Repository> go_on(Scene& scene, std::unique_ptr<Repository> failed,
                                  SharedStore& store, Sequel sequel) {
  disarm(store);
  if (sequel == Sequel::same_process) return failed;
  failed.reset();
  if (sequel == Sequel::restart_without_index) fs::remove(scene.bench.settings.index_file);
  return scene.bench.open();
}

// Tries every change of `work`, in every way to fail and to go on. Returns how many there are.
std::size_t fail_everywhere(Scene& scene, const std::function<void(Repository&)>& work,
                            const std::function<void(Repository&)>& then) {
  std::size_t points = 0;
  for (const Failure failure : {Failure::before_effect, Failure::after_effect}) {
    for (const Sequel sequel :
         {Sequel::restart, Sequel::restart_without_index, Sequel::same_process}) {
      for (std::size_t fatal = 1;; ++fatal) {
        CAPTURE(static_cast<int>(failure), static_cast<int>(sequel), fatal);
        scene.restore();
        SharedStore* store = nullptr;
        std::unique_ptr<Repository> repository = scene.bench.open(store);
        std::size_t changes = 0;
        arm(*store, fatal, failure, changes);
        const auto code = code_of([&] { work(*repository); });
        if (!code) break;
        REQUIRE(code == ErrorCode::io);
        points = std::max(points, fatal);
        repository = go_on(scene, std::move(repository), *store, sequel);
        then(*repository);
      }
    }
  }
  return points;
}

}  // namespace

TEST_CASE("a prune that fails at any change leaves a sound repository, and the next one finishes") {
  Scene scene;
  const auto prune = [&](Repository& repository) {
    repository.prune(false, std::nullopt, scene.bench.task());
  };
  // New packs, their segment, the condemned list, new segments, old ones, packs, and the list.
  const std::size_t points = fail_everywhere(scene, prune, [&](Repository& repository) {
    scene.require_sound(repository);
    scene.require_finished_by_prune(repository);
  });
  CHECK(points >= 10);
}

TEST_CASE("a backup between a failed prune and the next one may rely on everything it reuses") {
  Scene scene;
  const auto prune = [&](Repository& repository) {
    repository.prune(false, std::nullopt, scene.bench.task());
  };
  fail_everywhere(scene, prune, [&](Repository& repository) {
    const std::map<std::string, Bytes> streams{{"c", scene.dead_content()},
                                               {"b", random_content(120'000, 2)}};
    const std::string again = scene.bench.back_up(repository, streams);
    scene.add_live(again, streams);
    scene.require_sound(repository);
    scene.require_finished_by_prune(repository);
    scene.forget(again);
  });
}

TEST_CASE("a backup that fails at any change leaves a sound repository and only garbage") {
  Scene scene;
  const std::map<std::string, Bytes> streams{{"x", random_content(700'000, 9)}};
  std::string artifact;
  const auto back_up = [&](Repository& repository) {
    artifact = scene.bench.back_up(repository, streams);
  };
  const std::size_t points = fail_everywhere(scene, back_up, [&](Repository& repository) {
    // The manifest's put may have had its effect: then the artifact is whole, and nobody was told.
    for (const Manifest& manifest : repository.list()) {
      if (manifest.streams[0].name == "x") scene.add_live(artifact = manifest.id, streams);
    }
    scene.require_sound(repository);
    const std::string again = scene.bench.back_up(repository, streams);
    scene.add_live(again, streams);
    scene.require_finished_by_prune(repository);
    scene.forget(again);
    scene.forget(artifact);
  });
  CHECK(points >= 4);
}

TEST_CASE("a condemned list that is there although its put failed condemns") {
  Bench bench;
  SharedStore* store = nullptr;
  const auto repository = bench.open(store);
  const Bytes content = random_content(300'000, 1);
  repository->remove(bench.back_up(*repository, {{"a", content}}));
  store->after_change = [](const std::string& key) {
    if (key.starts_with("condemned/")) throw util::Error(ErrorCode::unavailable, "no answer");
  };
  CHECK(code_of([&] { repository->prune(false, std::nullopt, bench.task()); }) ==
        ErrorCode::unavailable);
  store->after_change = nullptr;
  REQUIRE(bench.count("condemned/") == 1);

  // Whoever begins now must not rely on the pack, which the next prune deletes.
  const ArtifactIdentity who = bench.identity();
  const auto running = repository->begin(who, bench.task());
  {
    const auto stream = running->open("a", StreamKind::bytes);
    stream->write(content);
    stream->close();
  }
  repository->prune(false, std::nullopt, bench.task());
  repository->commit(*running, {});
  CHECK(bench.read(*repository->read(who.id), "a") == content);
  CHECK(bench.open()->check(100, bench.task()).damage.empty());
}

TEST_CASE("a pack that was spared is not relied on while a list still names it") {
  Bench bench;
  SharedStore* store = nullptr;
  const auto repository = bench.open(store);
  const Bytes content = random_content(300'000, 1);
  const auto begin_with_content = [&](const ArtifactIdentity& who) {
    auto writer = repository->begin(who, bench.task());
    const auto stream = writer->open("a", StreamKind::bytes);
    stream->write(content);
    stream->close();
    return writer;
  };
  const std::string old = bench.back_up(*repository, {{"a", content}});
  const ArtifactIdentity first = bench.identity();
  auto early = begin_with_content(first);
  repository->remove(old);
  repository->prune(false, std::nullopt, bench.task());
  repository->commit(*early, {});
  early.reset();
  // The pack is needed after all, and taking it off the list fails half-way.
  store->before_change = [](const std::string& key) {
    if (key.starts_with("condemned/")) throw util::Error(ErrorCode::unavailable, "no answer");
  };
  CHECK(code_of([&] { repository->prune(false, std::nullopt, bench.task()); }) ==
        ErrorCode::unavailable);
  store->before_change = nullptr;

  const ArtifactIdentity second = bench.identity();
  const auto late = begin_with_content(second);
  repository->remove(first.id);
  repository->prune(false, std::nullopt, bench.task());
  repository->commit(*late, {});
  CHECK(bench.read(*repository->read(second.id), "a") == content);
  CHECK(repository->check(100, bench.task()).damage.empty());
}

TEST_CASE("a pack that a prune has unlisted is listed again before an artifact relies on it") {
  Bench bench;
  const util::TemporaryFolder folder(fs::temp_directory_path(), "dbbackup-test");
  bench.settings.index_file = folder.path() / "index.db";
  const Bytes content = random_content(100'000, 1);
  {
    SharedStore* store = nullptr;
    const auto repository = bench.open(store);
    repository->remove(bench.back_up(*repository, {{"a", content}}));
    store->before_change = [](const std::string& key) {
      if (key.starts_with("packs/")) throw util::Error(ErrorCode::unavailable, "no answer");
    };
    CHECK(code_of([&] { repository->prune(false, std::nullopt, bench.task()); }) ==
          ErrorCode::unavailable);
  }
  // The list goes bad, so nothing is condemned any more.
  REQUIRE(bench.count("condemned/") == 1);
  REQUIRE(bench.count("index/") == 0);
  bench.objects->list("condemned/", [&](const storage::ObjectInfo& info) {
    bench.objects->put(info.key, Bytes(100));
  });
  const std::string id = bench.back_up(*bench.open(), {{"a", content}});
  REQUIRE(bench.count("packs/") == 1);
  // Found by its segment: its trailer is not there to be found by.
  bench.objects->list("packs/", [&](const storage::ObjectInfo& info) {
    Bytes pack = bench.objects->get(info.key);
    pack.back() = 0;
    bench.objects->put(info.key, pack);
  });
  bench.settings.index_file.clear();
  const auto fresh = bench.open();
  CHECK(bench.read(*fresh->read(id), "a") == content);
}
