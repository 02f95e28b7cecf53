// Who may write to a repository, also among processes of one daemon; and that a backup whose store
// hangs can be cancelled wherever it is.
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "support/faulty_store.hpp"
#include "unit/repository/repository_fixture.hpp"

namespace dbbackup::test {

using util::ErrorCode;

namespace {
// Every opening stands for a process of its own.
struct Processes : Bench {
  Processes() { settings.session.clear(); }
};
}  // namespace

TEST_CASE("fence: an earlier process of the same daemon commits nothing", "[repository]") {
  Processes bench;
  const auto first = bench.open();
  const std::string before = bench.back_up(*first, {{"a", Bytes(10)}});
  const auto running = first->begin(bench.identity(), bench.task());

  const auto second = bench.open();
  second->claim();
  CHECK(code_of([&] { first->commit(*running, {}); }) == ErrorCode::conflict);
  CHECK(code_of([&] { first->remove(before); }) == ErrorCode::conflict);
  CHECK(code_of([&] { first->prune(false, {}, bench.task()); }) == ErrorCode::conflict);
  CHECK(code_of([&] { first->claim(); }) == ErrorCode::conflict);
  CHECK(second->list().size() == 1);
  bench.back_up(*second, {{"b", Bytes(10)}});
  CHECK(second->list().size() == 2);
}

TEST_CASE("fence: reading and restoring need no claim", "[repository]") {
  Processes bench;
  const auto first = bench.open();
  const std::string id = bench.back_up(*first, {{"a", Bytes(10)}});
  const auto second = bench.open();
  CHECK(bench.read(*second->read(id), "a") == Bytes(10));
  bench.back_up(*first, {{"b", Bytes(10)}});
  CHECK(second->list().size() == 2);
}

TEST_CASE("fence: openings of one session do not fence each other off", "[repository]") {
  Bench bench;
  const auto first = bench.open();
  const auto running = first->begin(bench.identity(), bench.task());
  const auto second = bench.open();
  bench.back_up(*second, {{"a", Bytes(10)}});
  first->commit(*running, {});
  CHECK(second->list().size() == 2);
}

TEST_CASE("fence: a process stopped between its look and its manifest takes the manifest back",
          "[repository]") {
  Processes bench;
  SharedStore* store = nullptr;
  const auto first = bench.open(store);
  const auto running = first->begin(bench.identity(), bench.task());
  const auto second = bench.open();
  bool stopped = false;
  store->before_change = [&](const std::string& key) {
    if (stopped || !key.starts_with("manifests/")) return;
    stopped = true;
    second->claim();
  };
  CHECK(code_of([&] { first->commit(*running, {}); }) == ErrorCode::conflict);
  CHECK(stopped);
  CHECK(bench.count("manifests/") == 0);
}

TEST_CASE("fence: of two that claim at once one has it", "[repository]") {
  Processes bench;
  SharedStore* store = nullptr;
  bench.open()->claim();
  const auto first = bench.open(store);
  const auto second = bench.open();
  bool between = false;
  store->before_change = [&](const std::string& key) {
    if (between || key != "owner") return;
    between = true;
    second->claim();
  };
  first->claim();  // its object came last
  CHECK(between);
  CHECK(code_of([&] { second->claim(); }) == ErrorCode::conflict);
  first->claim();
}

TEST_CASE("fence: a claim that was reported as failed but was not is still a claim",
          "[repository]") {
  Processes bench;
  bench.open()->claim();
  SharedStore* store = nullptr;
  const auto repository = bench.open(store);
  store->after_change = [](const std::string&) {
    throw util::Error(ErrorCode::unavailable, "the answer was lost");
  };
  CHECK(code_of([&] { repository->claim(); }) == ErrorCode::unavailable);
  store->after_change = nullptr;
  repository->claim();
  bench.back_up(*repository, {{"a", Bytes(10)}});
}

TEST_CASE("cancel: a backup whose store hangs ends within seconds, and nothing is visible",
          "[repository]") {
  struct Where {
    Operation operation;
    const char* prefix;
    std::size_t call;
  };
  const Where where =
      GENERATE(Where{Operation::get, "owner", 1}, Where{Operation::put, "owner", 1},
               Where{Operation::put, "packs/", 1}, Where{Operation::put, "packs/", 2},
               Where{Operation::put, "index/", 1}, Where{Operation::get, "owner", 3},
               Where{Operation::put_new, "manifests/", 1});
  INFO(operation_name(where.operation) << " " << where.prefix << " " << where.call);
  Gate gate;
  Processes bench;
  bench.open();  // so that there is an owner
  auto faulty = std::make_unique<FaultyStore>(*bench.objects);
  FaultyStore* store = faulty.get();
  const auto repository =
      Repository::open(std::move(faulty), {.daemon_key = test_key(1)}, bench.settings, bench.clock);
  store->inject({where.operation, where.prefix, where.call}, Block{&gate});
  std::optional<ErrorCode> code;
  std::chrono::steady_clock::time_point ended;
  std::jthread run([&] {
    code = code_of([&] {
      bench.back_up(*repository, {{"a", random_content(2U << 20U, 1)}, {"b", Bytes(1000)}});
    });
    ended = std::chrono::steady_clock::now();
  });
  gate.await_arrival();
  const auto asked = std::chrono::steady_clock::now();
  bench.quiet.stop_source().request_stop();
  run.join();
  CHECK(code == ErrorCode::cancelled);
  CHECK(ended - asked < std::chrono::seconds(5));
  CHECK(bench.count("manifests/") == 0);
  CHECK(store->fired() == 1);
}

}  // namespace dbbackup::test
