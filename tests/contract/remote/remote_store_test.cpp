// The contract against real servers. tests/integration/object_stores_test.py starts them and runs
// these cases, which are hidden otherwise, with
//   DBBACKUP_TEST_STORE          the URL of a bucket or folder to work below
//   DBBACKUP_TEST_STORE_OPTIONS  its options, one KEY=VALUE a line
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "contract/object_store_contract.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::test {
namespace {

std::string required(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) FAIL(name << " is not set");
  return value;
}

storage::StoreOptions options() {
  storage::StoreOptions options;
  for (const std::string& line : util::split(required("DBBACKUP_TEST_STORE_OPTIONS"), '\n')) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos) {
      options.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return options;
}

// A part of the store that nobody has used.
std::string fresh_url() {
  static std::atomic<int> number{0};
  return util::cat(required("DBBACKUP_TEST_STORE"), "/contract-", ++number);
}

std::unique_ptr<storage::ObjectStore> fresh_store() {
  return storage::open_store(fresh_url(), options(), storage::StoreMode::create);
}

TEST_CASE("a remote store keeps the contract", "[.remote]") { check_object_store(fresh_store); }

TEST_CASE("a remote store proves itself and leaves nothing behind", "[.remote][.proof]") {
  const std::string url = fresh_url();
  const auto store = storage::open_store(url, options(), storage::StoreMode::create);
  storage::prove_store(*store, url.substr(0, url.find(':')));
  std::vector<std::string> left;
  store->list("", [&](const storage::ObjectInfo& info) { left.push_back(info.key); });
  CHECK(left.empty());
}

TEST_CASE("listings of more than a page are whole", "[.pages]") {
  const auto store = fresh_store();
  constexpr int kObjects = 1100;  // a page has at most 1000 (S3, GCS)
  for (int i = 0; i < kObjects; ++i) store->put(util::cat("many/", i), util::as_bytes("x"));
  int found = 0;
  store->list("many/", [&](const storage::ObjectInfo&) { ++found; });
  CHECK(found == kObjects);
}

TEST_CASE("a wrong secret is refused with a reason", "[.secret]") {
  storage::StoreOptions wrong = options();
  for (auto& [name, value] : wrong) {
    if (name == "secret_key") value = "not the key";
    if (name == "account_key") value = "bm90IHRoZSBrZXk=";
  }
  const std::string url = fresh_url();
  const auto store = storage::open_store(url, wrong, storage::StoreMode::create);
  try {
    storage::prove_store(*store, url.substr(0, url.find(':')));
    FAIL("no error");
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::permission_denied);
    CHECK_FALSE(error.hint().empty());
    CHECK(error.message().find("not the key") == std::string::npos);
  }
}

TEST_CASE("a locked object stays", "[.locks]") {
  storage::StoreOptions locking = options();
  locking.emplace_back("object_lock_days", "1");
  const auto store = storage::open_store(fresh_url(), locking, storage::StoreMode::create);
  REQUIRE(store->locks());
  store->put("packs/locked", util::as_bytes("kept"));
  store->put("packs/free", util::as_bytes("first"));
  store->put("packs/free", util::as_bytes("second"));
  store->lock("packs/locked");
  try {
    store->remove("packs/locked");
    FAIL("no error");
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::refused);
    CHECK(error.message().find("locked until") != std::string::npos);
  }
  CHECK(util::as_text(store->get("packs/locked")) == "kept");
  store->remove("packs/free");
  CHECK_FALSE(store->stat("packs/free"));
}

}  // namespace
}  // namespace dbbackup::test
