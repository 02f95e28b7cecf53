#include "storage/wrappers.hpp"

#include <catch2/catch.hpp>

#include "contract/object_store_contract.hpp"
#include "support/faulty_store.hpp"

namespace dbbackup::test {
namespace {

const http::RetryPolicy kQuick{
    .attempts = 3, .first_delay = util::Milliseconds(1), .longest_delay = util::Milliseconds(1)};
const util::Error kPassing{util::ErrorCode::unavailable, "injected"};

TEST_CASE("failures that pass are not seen through a retrying store", "[storage]") {
  auto faulty = std::make_unique<FaultyStore>(storage::open_memory_store());
  for (const Operation operation :
       {Operation::put, Operation::get, Operation::stat, Operation::list, Operation::remove}) {
    faulty->inject({operation, ""}, Fail{kPassing});
  }
  // Done, but reported as failed: what the repetition finds is its own.
  faulty->inject({Operation::put_new, "new"}, FailAfter{kPassing});
  const auto store = storage::make_retrying(std::move(faulty), kQuick);
  store->put("key", util::as_bytes("content"));
  CHECK(util::as_text(store->get("key")) == "content");
  CHECK(store->stat("key"));
  int listed = 0;
  store->list("", [&](const storage::ObjectInfo&) { ++listed; });
  CHECK(listed == 1);
  store->remove("key");
  CHECK(store->put_new("new", util::as_bytes("mine")));
  CHECK_FALSE(store->put_new("new", util::as_bytes("mine")));
}

TEST_CASE("an object of somebody else is not taken for one's own", "[storage]") {
  auto faulty = std::make_unique<FaultyStore>(storage::open_memory_store());
  faulty->put("new", util::as_bytes("theirs"));
  faulty->inject({Operation::put_new, "new"}, Fail{kPassing});
  const auto store = storage::make_retrying(std::move(faulty), kQuick);
  CHECK_FALSE(store->put_new("new", util::as_bytes("mine")));
}

TEST_CASE("a limit holds transfers back", "[storage]") {
  const auto limit = std::make_shared<http::RateLimit>(1 << 20);
  const auto store = storage::make_throttled(storage::open_memory_store(), limit, nullptr);
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) store->put("key", util::Bytes(64 << 10));
  // The first goes at once; each of the others waits for the one before: 1/16 s.
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(120));
}

TEST_CASE("a store is proved, or says what it lacks", "[storage]") {
  const auto sound = storage::open_memory_store();
  storage::prove_store(*sound, "s3");
  sound->list("", [](const storage::ObjectInfo& info) { FAIL(info.key); });
  const std::vector<std::pair<Operation, std::string>> rights = {
      {Operation::put, "s3:PutObject"},
      {Operation::get, "s3:GetObject"},
      {Operation::list, "s3:ListBucket"}};
  for (const auto& [operation, right] : rights) {
    FaultyStore store(storage::open_memory_store());
    store.inject({operation, ""}, Fail{{util::ErrorCode::permission_denied, "denied"}});
    try {
      storage::prove_store(store, "s3");
      FAIL("no error");
    } catch (const util::Error& error) {
      CHECK_THAT(error.hint(), Catch::Contains(right));
    }
    store.list("", [](const storage::ObjectInfo& info) { FAIL("left behind: " << info.key); });
  }
}

}  // namespace
}  // namespace dbbackup::test
