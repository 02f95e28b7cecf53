#include "contract/object_store_contract.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::test {
namespace {

using storage::ObjectInfo;
using storage::ObjectStore;
using util::ErrorCode;

util::Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("no error");
  return {ErrorCode::internal, ""};
}

std::set<std::string> keys_of(ObjectStore& store, const std::string& prefix) {
  std::vector<std::string> keys;
  store.list(prefix, [&](const ObjectInfo& info) { keys.push_back(info.key); });
  std::set<std::string> unique(keys.begin(), keys.end());
  CHECK(unique.size() == keys.size());
  return unique;
}

void put_text(ObjectStore& store, const std::string& key, std::string_view text) {
  store.put(key, util::as_bytes(text));
}

std::string get_text(ObjectStore& store, const std::string& key,
                     std::optional<storage::Range> range = {}) {
  return std::string(util::as_text(store.get(key, range)));
}

// Content in which a missing, repeated or moved part shows.
util::Bytes patterned(std::size_t size) {
  util::Bytes bytes(size);
  std::uint32_t state = 12345;
  for (std::uint8_t& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24U);
  }
  return bytes;
}

void check_round_trip(ObjectStore& store) {
  put_text(store, "config", "hello");
  put_text(store, "packs/ab/0123.pack", "");
  CHECK(get_text(store, "config") == "hello");
  CHECK(get_text(store, "packs/ab/0123.pack").empty());

  util::Bytes every_byte(256);
  for (std::size_t i = 0; i < every_byte.size(); ++i) {
    every_byte[i] = static_cast<std::uint8_t>(i);
  }
  store.put("a.b_c-d", every_byte);
  CHECK(store.get("a.b_c-d") == every_byte);
}

void check_overwrite(ObjectStore& store) {
  put_text(store, "object", "first content");
  put_text(store, "object", "first content");
  CHECK(get_text(store, "object") == "first content");
  put_text(store, "object", "short");
  CHECK(get_text(store, "object") == "short");
  put_text(store, "object", "a longer one than before");
  CHECK(get_text(store, "object") == "a longer one than before");
  CHECK(keys_of(store, "").size() == 1);
}

void check_put_new(ObjectStore& store) {
  CHECK(store.put_new("keys/a", util::as_bytes("mine")));
  CHECK_FALSE(store.put_new("keys/a", util::as_bytes("yours")));
  CHECK(get_text(store, "keys/a") == "mine");
  put_text(store, "keys/b", "put");
  CHECK_FALSE(store.put_new("keys/b", util::as_bytes("yours")));
  store.remove("keys/a");
  CHECK(store.put_new("keys/a", util::as_bytes("again")));
}

void check_put_new_race(ObjectStore& store) {
  constexpr int kRounds = 10;
  constexpr int kThreads = 4;
  for (int round = 0; round < kRounds; ++round) {
    const std::string key = util::cat("lock/", round);
    std::atomic<int> created{0};
    std::atomic<int> winner{-1};
    {
      std::vector<std::jthread> threads;
      for (int id = 0; id < kThreads; ++id) {
        threads.emplace_back([&, id] {
          if (store.put_new(key, util::as_bytes(std::to_string(id)))) {
            ++created;
            winner = id;
          }
        });
      }
    }
    CHECK(created == 1);
    CHECK(get_text(store, key) == std::to_string(winner));
  }
}

void check_ranges(ObjectStore& store) {
  put_text(store, "object", "0123456789");
  CHECK(get_text(store, "object", {{0, 10}}) == "0123456789");
  CHECK(get_text(store, "object", {{3, 4}}) == "3456");
  CHECK(get_text(store, "object", {{9, 1}}) == "9");
  CHECK(get_text(store, "object", {{4, 0}}).empty());
  CHECK(get_text(store, "object", {{10, 0}}).empty());

  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  for (const storage::Range range :
       {storage::Range{0, 11}, {10, 1}, {11, 0}, {5, kHuge}, {kHuge, 1}, {kHuge, kHuge}}) {
    const util::Error error = error_of([&] { store.get("object", range); });
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.message(), Catch::Contains("shorter than promised") &&
                                    Catch::Contains("object") && Catch::Contains(store.describe()));
  }
}

void check_stat(ObjectStore& store) {
  CHECK_FALSE(store.stat("packs/x"));
  put_text(store, "packs/x", "12345");
  const auto info = store.stat("packs/x");
  REQUIRE(info);
  CHECK(info->key == "packs/x");
  CHECK(info->size == 5);
  CHECK(info->modified > util::parse_time("2020-01-01").value());
  CHECK_FALSE(store.stat("packs"));
  store.list("packs/", [&](const ObjectInfo& listed) {
    CHECK(listed.key == info->key);
    CHECK(listed.size == info->size);
    CHECK(listed.modified == info->modified);
  });
}

void check_list(ObjectStore& store) {
  CHECK(keys_of(store, "").empty());
  CHECK(keys_of(store, "packs/").empty());
  for (const char* key :
       {"config", "index/1", "packs/ab/1", "packs/ab/2", "packs/abc/3", "packs/b"}) {
    put_text(store, key, key);
  }
  using Keys = std::set<std::string>;
  CHECK(keys_of(store, "").size() == 6);
  CHECK(keys_of(store, "packs/") == Keys{"packs/ab/1", "packs/ab/2", "packs/abc/3", "packs/b"});
  CHECK(keys_of(store, "packs/ab") == Keys{"packs/ab/1", "packs/ab/2", "packs/abc/3"});
  CHECK(keys_of(store, "packs/ab/") == Keys{"packs/ab/1", "packs/ab/2"});
  CHECK(keys_of(store, "packs/ab/2") == Keys{"packs/ab/2"});
  CHECK(keys_of(store, "pac").size() == 4);
  CHECK(keys_of(store, "c") == Keys{"config"});
  CHECK(keys_of(store, "config/").empty());
  CHECK(keys_of(store, "nothing/").empty());
}

void check_list_may_use_the_store(ObjectStore& store) {
  for (int i = 0; i < 20; ++i) put_text(store, util::cat("packs/", i), "x");
  std::size_t seen = 0;
  store.list("packs/", [&](const ObjectInfo& info) {
    CHECK(store.get(info.key).size() == 1);
    store.remove(info.key);
    ++seen;
  });
  CHECK(seen == 20);
  CHECK(keys_of(store, "").empty());

  put_text(store, "packs/1", "x");
  CHECK_THROWS_AS(store.list("", [](const ObjectInfo&) { throw std::runtime_error("enough"); }),
                  std::runtime_error);
}

void check_list_during_changes(ObjectStore& store) {
  for (int i = 0; i < 20; ++i) put_text(store, util::cat("packs/aa/stays-", i), "x");
  std::atomic<bool> failed{false};
  std::size_t fewest = 20;
  {
    const std::jthread changing([&](const std::stop_token& stop) {
      try {
        for (int i = 0; !stop.stop_requested(); ++i) {
          const std::string key = util::cat("packs/", i % 5, "/goes-", i % 7);
          put_text(store, key, "x");
          store.remove(key);
        }
      } catch (const util::Error&) {
        failed = true;
      }
    });
    for (int round = 0; round < 50; ++round) {
      const std::set<std::string> keys = keys_of(store, "packs/");
      fewest = std::min(fewest, static_cast<std::size_t>(std::count_if(
                                    keys.begin(), keys.end(), [](const std::string& key) {
                                      return key.starts_with("packs/aa/stays-");
                                    })));
    }
  }
  CHECK(fewest == 20);
  CHECK_FALSE(failed);
}

void check_remove(ObjectStore& store) {
  put_text(store, "packs/ab/1", "x");
  put_text(store, "packs/ab/2", "x");
  store.remove("packs/ab/1");
  CHECK_FALSE(store.stat("packs/ab/1"));
  CHECK(keys_of(store, "") == std::set<std::string>{"packs/ab/2"});
  store.remove("packs/ab/1");
  store.remove("never/was");
  store.remove("packs");
  CHECK(get_text(store, "packs/ab/2") == "x");
}

void check_absent(ObjectStore& store) {
  put_text(store, "packs/ab/1", "x");
  for (const std::string key : {"config", "packs/ab/2", "packs/ab", "none/such"}) {
    const util::Error error = error_of([&] { store.get(key); });
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.message(), Catch::Contains(key) && Catch::Contains(store.describe()));
    CHECK(error_of([&] { store.get(key, storage::Range{0, 1}); }).code() == ErrorCode::not_found);
  }
}

void check_odd_keys(ObjectStore& store) {
  const std::vector<std::string> odd = {"",        "/",
                                        "a/",      "/a",
                                        "a//b",    ".",
                                        "..",      "../a",
                                        "a/../b",  ".tmp/",
                                        ".hidden", "a/.b",
                                        "A",       "a b",
                                        "a\nb",    "a\\b",
                                        "a:b",     "\xc3\xa4",
                                        "a%2fb",   "~",
                                        "a*",      "a\tb",
                                        "a/./b",   "a?b=c",
                                        "pack+",   std::string(1, '\0')};
  for (const std::string& key : odd) {
    INFO("key '" << util::printable(key) << "'");
    CHECK(error_of([&] { store.put(key, {}); }).code() == ErrorCode::internal);
    CHECK(error_of([&] { store.put_new(key, {}); }).code() == ErrorCode::internal);
    CHECK(error_of([&] { store.get(key); }).code() == ErrorCode::internal);
    CHECK(error_of([&] { store.stat(key); }).code() == ErrorCode::internal);
    CHECK(error_of([&] { store.remove(key); }).code() == ErrorCode::internal);
  }
  for (const std::string prefix : {"/", "../", "a/../", "A", "a//", "./"}) {
    INFO("prefix '" << prefix << "'");
    CHECK(error_of([&] { store.list(prefix, [](const ObjectInfo&) {}); }).code() ==
          ErrorCode::internal);
  }
  CHECK(keys_of(store, "").empty());
}

// Readers of an object that is being replaced see one content or the other, in get(), stat() and
// list().
void check_atomicity(ObjectStore& store) {
  const util::Bytes small(300000, 's');
  const util::Bytes large(1500000, 'l');
  store.put("object", small);
  std::atomic<int> torn{0};
  std::atomic<int> read{0};
  const auto read_all = [&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        const util::Bytes content = store.get("object");
        if (content != small && content != large) ++torn;
        const auto info = store.stat("object");
        if (!info || (info->size != small.size() && info->size != large.size())) ++torn;
        std::size_t listed = 0;
        store.list("", [&](const ObjectInfo& entry) {
          ++listed;
          if (entry.size != small.size() && entry.size != large.size()) ++torn;
        });
        if (listed != 1) ++torn;
      } catch (const std::exception&) {
        ++torn;
      }
      ++read;
    }
  };
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 2; ++i) readers.emplace_back(read_all);
    for (int i = 0; i < 20 || read < 20; ++i) store.put("object", i % 2 == 0 ? large : small);
  }
  CHECK(torn == 0);
}

void check_concurrent_puts(ObjectStore& store) {
  constexpr int kThreads = 4;
  constexpr int kEach = 10;
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] {
        try {
          // All threads need the same new folders at about the same time.
          for (int i = 0; i < kEach; ++i) put_text(store, util::cat("packs/", i, "/", id), "x");
        } catch (const util::Error&) {
          ++failed;
        }
      });
    }
  }
  CHECK(failed == 0);
  CHECK(keys_of(store, "packs/").size() == kThreads * kEach);
}

void check_big_object(ObjectStore& store) {
  constexpr std::size_t kSize = std::size_t{64} << 20U;
  const util::Bytes content = patterned(kSize);
  store.put("packs/big", content);
  CHECK(store.stat("packs/big")->size == kSize);
  CHECK((store.get("packs/big") == content));  // in parentheses: Catch must not print it
  const util::Bytes end = store.get("packs/big", storage::Range{kSize - 100, 100});
  CHECK(std::equal(end.begin(), end.end(), content.end() - 100, content.end()));
}

void check_cancellation(ObjectStore& store) {
  put_text(store, "there", "x");
  std::stop_source source;
  source.request_stop();
  const std::stop_token stop = source.get_token();
  const auto cancelled = [](const std::function<void()>& action) {
    return error_of(action).code() == ErrorCode::cancelled;
  };
  CHECK(cancelled([&] { store.put("new", util::as_bytes("x"), stop); }));
  CHECK(cancelled([&] { store.put_new("new", util::as_bytes("x"), stop); }));
  CHECK(cancelled([&] { store.get("there", {}, stop); }));
  CHECK(cancelled([&] { store.stat("there", stop); }));
  CHECK(cancelled([&] {
    store.list(
        "", [](const ObjectInfo&) {}, stop);
  }));
  CHECK(cancelled([&] { store.remove("there", stop); }));
  CHECK(keys_of(store, "") == std::set<std::string>{"there"});
}

void check_description(ObjectStore& store) {
  CHECK_FALSE(store.describe().empty());
  if (const auto space = store.space()) {
    CHECK(space->total > 0);
    CHECK(space->free <= space->total);
  }
}

}  // namespace

void check_object_store(const StoreFactory& make_store) {
  const auto store = make_store();
  SECTION("what is put can be got") { check_round_trip(*store); }
  SECTION("a put replaces") { check_overwrite(*store); }
  SECTION("put_new never replaces") { check_put_new(*store); }
  SECTION("of several put_new at once one creates") { check_put_new_race(*store); }
  SECTION("ranges are exact") { check_ranges(*store); }
  SECTION("stat agrees with list") { check_stat(*store); }
  SECTION("list goes by prefix") { check_list(*store); }
  SECTION("a listing may use the store") { check_list_may_use_the_store(*store); }
  SECTION("a listing survives changes meanwhile") { check_list_during_changes(*store); }
  SECTION("remove removes, also what is absent") { check_remove(*store); }
  SECTION("an absent object is named") { check_absent(*store); }
  SECTION("odd keys are refused") { check_odd_keys(*store); }
  SECTION("readers never see half an object") { check_atomicity(*store); }
  SECTION("puts into the same new folders do not meet") { check_concurrent_puts(*store); }
  SECTION("objects may be big") { check_big_object(*store); }
  SECTION("a stop is honoured") { check_cancellation(*store); }
  SECTION("a store describes itself") { check_description(*store); }
}

}  // namespace dbbackup::test
