#include "support/faulty_store.hpp"

#include <catch2/catch.hpp>
#include <thread>

namespace dbbackup::test {
namespace {

using util::ErrorCode;

const util::Error kInjected(ErrorCode::unavailable, "injected");

bool throws_injected(const std::function<void()>& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error.message() == kInjected.message();
  }
  return false;
}

TEST_CASE("a fault hits the calls it names and no others", "[storage]") {
  FaultyStore store(storage::open_memory_store());
  store.inject({Operation::put, "packs/", 2, 2}, Fail{kInjected});
  const util::Bytes content = util::to_bytes("x");

  store.put("index/1", content);
  store.put("packs/1", content);
  CHECK(store.put_new("packs/new", content));
  CHECK(throws_injected([&] { store.put("packs/2", content); }));
  CHECK(store.unfired().size() == 1);
  CHECK(throws_injected([&] { store.put("packs/3", content); }));
  store.put("packs/4", content);

  CHECK_FALSE(store.stat("packs/2"));
  CHECK(store.stat("packs/4"));
  CHECK(store.fired() == 2);
  CHECK(store.unfired().empty());
  CHECK(store.calls(Operation::put) == 5);
  CHECK(store.calls(Operation::put, "packs/") == 4);
  CHECK(store.calls(Operation::stat) == 2);
}

TEST_CASE("every operation can fail, before and after it is done", "[storage]") {
  const auto memory = storage::open_memory_store();
  FaultyStore store(*memory);
  using enum Operation;
  for (const Operation operation : {put, put_new, get, stat, list, remove, space}) {
    store.inject({operation}, Fail{kInjected});
    store.inject({operation, "", 2}, FailAfter{kInjected});
  }
  const auto all_fail_but_remove = [&] {
    return throws_injected([&] { store.put("a", util::as_bytes("x")); }) &&
           throws_injected([&] { store.put_new("b", util::as_bytes("x")); }) &&
           throws_injected([&] { store.get("a"); }) && throws_injected([&] { store.stat("a"); }) &&
           throws_injected([&] { store.list("", [](const storage::ObjectInfo&) {}); }) &&
           throws_injected([&] { store.space(); });
  };

  CHECK(all_fail_but_remove());
  CHECK(throws_injected([&] { store.remove("a"); }));
  CHECK_FALSE(memory->stat("a"));
  CHECK(store.fired() == 7);
  CHECK(store.unfired().size() == 7);

  memory->put("c", util::as_bytes("x"));
  CHECK(throws_injected([&] { store.remove("c"); }));
  CHECK_FALSE(memory->stat("c"));
  CHECK(all_fail_but_remove());
  CHECK(memory->stat("a"));
  CHECK(memory->stat("b"));
  CHECK(store.fired() == 14);
}

TEST_CASE("a fault that never fires fails the test", "[storage][!shouldfail]") {
  FaultyStore store(storage::open_memory_store());
  store.inject({Operation::put, "packs/"}, Fail{kInjected});
  store.put("index/1", {});
}

TEST_CASE("what get() returns can be cut and changed", "[storage]") {
  FaultyStore store(storage::open_memory_store());
  store.put("a", util::as_bytes("abcdef"));
  store.inject({Operation::get, "a", 1}, Truncate{2});
  store.inject({Operation::get, "a", 2}, FlipBit{8});
  CHECK(util::as_text(store.get("a")) == "ab");
  CHECK(util::as_text(store.get("a")) == "accdef");
  CHECK(util::as_text(store.get("a")) == "abcdef");
  CHECK_THROWS_AS(store.inject({Operation::put}, Truncate{2}), std::logic_error);
}

TEST_CASE("an alteration that altered nothing has not fired", "[storage]") {
  const auto memory = storage::open_memory_store();
  memory->put("empty", {});
  auto store = std::make_unique<FaultyStore>(*memory);
  store->inject({Operation::get, "", 1, kAlways}, FlipBit{0});
  store->get("empty");
  CHECK(store->unfired() == std::vector<std::string>{"get * from call 1, fired 0 times"});
  memory->put("empty", util::as_bytes("x"));
  store->get("empty");
  CHECK(store->unfired().empty());
}

TEST_CASE("a gate holds a call until it is opened or stopped", "[storage]") {
  Gate gate;
  FaultyStore store(storage::open_memory_store());
  store.inject({Operation::put, "", 1, 2}, Block{&gate});

  bool cancelled = false;
  {
    std::jthread stopped([&](const std::stop_token& stop) {
      try {
        store.put("a", util::as_bytes("x"), stop);
      } catch (const util::Error& error) {
        cancelled = error.code() == ErrorCode::cancelled;
      }
    });
    gate.await_arrival();
    CHECK_FALSE(store.stat("a"));
  }
  CHECK(cancelled);

  std::jthread released([&] { store.put("b", util::as_bytes("x")); });
  gate.open();
  released.join();
  CHECK(store.stat("b"));
}

}  // namespace
}  // namespace dbbackup::test
