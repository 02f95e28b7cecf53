#include <catch2/catch.hpp>
#include <set>

#include "repository_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::ErrorCode;

TEST_CASE("prune frees what no artifact needs and nothing else") {
  Bench bench;
  const auto repository = bench.open();
  const Bytes kept = random_content(1'000'000, 1);
  const std::string keep = bench.back_up(*repository, {{"a", kept}});
  const std::string drop = bench.back_up(*repository, {{"b", random_content(2'000'000, 2)}});
  repository->remove(drop);
  CHECK(code_of([&] { repository->remove(drop); }) == ErrorCode::not_found);

  const std::map<std::string, Bytes> before = bench.all_objects();
  const PruneReport plan = repository->prune(true, std::nullopt, bench.task());
  CHECK(bench.all_objects() == before);
  CHECK(plan.removable_bytes > 2'000'000);
  CHECK_FALSE(plan.condemned_packs.empty());
  CHECK(plan.removed_objects.empty());

  const PruneReport report = repository->prune(false, std::nullopt, bench.task());
  CHECK(std::set(report.condemned_packs.begin(), report.condemned_packs.end()) ==
        std::set(plan.condemned_packs.begin(), plan.condemned_packs.end()));
  // The real figure has the headers and trailers of repacked packs in it.
  CHECK(report.removable_bytes >= plan.removable_bytes);
  CHECK(report.removable_bytes < plan.removable_bytes + 10'000);
  CHECK(bench.count("condemned/") == 0);
  CHECK(repository->usage().stored_bytes < 1'200'000);
  CHECK(bench.read(*repository->read(keep), "a") == kept);
  CHECK(repository->check(100, bench.task()).damage.empty());
  CHECK(bench.open()->check(100, bench.task()).damage.empty());
  CHECK(repository->prune(false, std::nullopt, bench.task()).removed_objects.empty());
}

TEST_CASE("packs that are mostly dead are repacked") {
  Bench bench;
  bench.settings.pack_bytes = 4U << 20U;
  bench.settings.memory_bytes = 32U << 20U;
  const auto repository = bench.open();
  const Bytes small = random_content(100'000, 1);
  const std::string both =
      bench.back_up(*repository, {{"a", small}, {"b", random_content(3'000'000, 2)}});
  const std::string keep = bench.back_up(*repository, {{"a", small}});
  repository->remove(both);
  const PruneReport report = repository->prune(false, std::nullopt, bench.task());
  CHECK(report.repacked_bytes > 100'000);
  CHECK(report.repacked_bytes < 200'000);
  CHECK(repository->usage().stored_bytes < 300'000);
  CHECK(bench.read(*repository->read(keep), "a") == small);
  const auto fresh = bench.open();
  CHECK(bench.read(*fresh->read(keep), "a") == small);
  CHECK(fresh->check(100, bench.task()).damage.empty());
}

TEST_CASE("a backup that began before a condemnation keeps what it reuses") {
  Bench bench;
  const auto repository = bench.open();
  const Bytes content = random_content(1'000'000, 1);
  const std::string old = bench.back_up(*repository, {{"a", content}});
  bench.clock.advance(util::Seconds(10));

  // Runs, has looked its chunks up, and has not committed yet.
  const ArtifactIdentity who = bench.identity();
  auto running = repository->begin(who, bench.task());
  {
    const auto stream = running->open("a", StreamKind::bytes);
    stream->write(content);
    stream->close();
  }
  repository->remove(old);
  SECTION("by the time of its start") { repository->prune(false, who.started, bench.task()); }
  SECTION("even when nobody tells, or the clock jumps") {
    repository->prune(false, std::nullopt, bench.task());
    bench.clock.advance(util::Seconds(100));
    repository->prune(false, bench.clock.now(), bench.task());
  }
  repository->commit(*running, {});
  running.reset();
  bench.clock.advance(util::Seconds(100));
  repository->prune(false, std::nullopt, bench.task());
  CHECK(bench.count("condemned/") == 0);
  CHECK(bench.read(*repository->read(who.id), "a") == content);
  CHECK(repository->check(100, bench.task()).damage.empty());
  CHECK(bench.open()->check(100, bench.task()).damage.empty());
}

TEST_CASE("a backup that begins after a condemnation stores anew") {
  Bench bench;
  const auto repository = bench.open();
  const Bytes content = random_content(1'000'000, 1);
  const std::string old = bench.back_up(*repository, {{"a", content}});
  repository->remove(old);
  auto blocking = repository->begin(bench.identity(), bench.task());
  repository->prune(false, std::nullopt, bench.task());
  REQUIRE(bench.count("condemned/") == 1);
  const std::string id = bench.back_up(*repository, {{"a", content}});
  blocking.reset();
  repository->prune(false, std::nullopt, bench.task());
  CHECK(bench.count("condemned/") == 0);
  CHECK(bench.read(*repository->read(id), "a") == content);
  CHECK(bench.open()->check(100, bench.task()).damage.empty());
}

TEST_CASE("packs of an abandoned artifact are removed, those of a running one are not") {
  Bench bench;
  const auto repository = bench.open();
  auto writer = repository->begin(bench.identity(), bench.task());
  {
    const auto stream = writer->open("a", StreamKind::bytes);
    stream->write(random_content(2'000'000, 1));
    stream->close();
  }
  repository->prune(false, std::nullopt, bench.task());
  CHECK(bench.count("condemned/") == 0);
  CHECK(repository->check(100, bench.task()).damage.empty());
  writer.reset();
  repository->prune(false, std::nullopt, bench.task());
  CHECK(bench.count("packs/") == 0);
}

TEST_CASE("prune stops rather than guess when a manifest is damaged") {
  Bench bench;
  const auto repository = bench.open();
  const std::string id = bench.back_up(*repository, {{"a", random_content(1000, 1)}});
  bench.objects->put("manifests/" + id, Bytes(100));
  CHECK(code_of([&] { repository->prune(false, std::nullopt, bench.task()); }) ==
        ErrorCode::verification_failed);
  CHECK(bench.count("packs/") == 1);
  std::vector<Damage> damaged;
  CHECK(repository->list({}, &damaged).empty());
  CHECK(damaged.size() == 1);
}
