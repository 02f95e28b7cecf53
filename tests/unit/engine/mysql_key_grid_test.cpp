// The key grid: no key is lost or read twice at a border, and unchanged keys keep their borders.
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "engine/mysql/key_grid.hpp"

namespace dbbackup::engine::mysql {
namespace {

bool holds(const KeyRange& range, Key key) {
  return (!range.first || key >= *range.first) && (!range.end || key < *range.end);
}

// A table of keys that answers as a server would, off by up to a factor.
struct Keys {
  std::multiset<std::int64_t> keys;
  std::uint64_t row_bytes = 100;

  std::uint64_t estimate(const KeyRange& range) const {
    std::uint64_t rows = 0;
    for (const std::int64_t key : keys) rows += holds(range, key) ? 1U : 0U;
    return rows * row_bytes;
  }
  std::vector<KeyRange> plan(std::uint64_t target) const {
    return plan_ranges(*keys.begin(), *keys.rbegin(), target,
                       [&](const KeyRange& range) { return estimate(range); });
  }
};

void require_partition(const std::vector<KeyRange>& ranges, const std::vector<Key>& probes) {
  REQUIRE_FALSE(ranges.empty());
  CHECK_FALSE(ranges.front().first);
  CHECK_FALSE(ranges.back().end);
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    REQUIRE(ranges[i].first);
    REQUIRE(ranges[i - 1].end);
    CHECK(*ranges[i].first == *ranges[i - 1].end);
  }
  for (const Key key : probes) {
    int found = 0;
    for (const KeyRange& range : ranges) found += holds(range, key) ? 1 : 0;
    CHECK(found == 1);
  }
}

TEST_CASE("every key lies in exactly one range, whatever the keys are") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    Keys table;
    const auto shift = static_cast<int>(random() % 63);
    const std::size_t count = 1 + random() % 400;
    for (std::size_t i = 0; i < count; ++i) {
      // Dense, sparse, negative and clustered keys.
      auto key = static_cast<std::int64_t>(random() >> static_cast<unsigned>(shift));
      if (random() % 3 == 0) key = -key;
      table.keys.insert(key);
    }
    const auto ranges = table.plan(100 * (1 + random() % 50));
    std::vector<Key> probes;
    for (const std::int64_t key : table.keys) {
      for (const int offset : {-1, 0, 1}) probes.push_back(Key{key} + offset);
    }
    for (const KeyRange& range : ranges) {
      if (range.first) probes.push_back(*range.first);
      if (range.end) probes.push_back(*range.end - 1);
    }
    require_partition(ranges, probes);
  }
}

TEST_CASE("the ends of BIGINT and BIGINT UNSIGNED are inside") {
  const auto none = [](const KeyRange&) { return std::uint64_t{0}; };
  const Key least = *parse_key("-9223372036854775808");
  const Key most = *parse_key("18446744073709551615");
  require_partition(plan_ranges(least, most, 1, none), {least, -1, 0, 1, most});
  const auto full = [](const KeyRange& range) {
    return range.end && *range.end - *range.first > (Key{1} << 58) ? std::uint64_t{2} : 0;
  };
  require_partition(plan_ranges(least, most, 1, full), {least, -1, 0, 1, most});
}

TEST_CASE("rows behind the end leave the borders before it as they are") {
  Keys table;
  for (std::int64_t key = 5; key < 4000; ++key) table.keys.insert(key);
  const auto before = table.plan(20000);
  for (std::int64_t key = 4000; key < 4400; ++key) table.keys.insert(key);
  const auto after = table.plan(20000);
  REQUIRE(before.size() > 4);
  for (std::size_t i = 0; i + 1 < before.size(); ++i) {
    CHECK(before[i].name() == after[i].name());
    CHECK(before[i].end == after[i].end);
  }
}

TEST_CASE("a range as a condition and as a name") {
  CHECK(KeyRange{Key{1024}, Key{2048}}.condition("`id`") == "`id` >= 1024 AND `id` < 2048");
  CHECK(KeyRange{std::nullopt, Key{-8}}.condition("`id`") == "`id` < -8");
  CHECK(KeyRange{}.condition("`id`").empty());
  CHECK(KeyRange{}.name() == "low");
  CHECK(KeyRange{Key{-16}, std::nullopt}.name() == "-16");
  CHECK(key_text(*parse_key("18446744073709551615")) == "18446744073709551615");
  CHECK_FALSE(parse_key("12a"));
}

}  // namespace
}  // namespace dbbackup::engine::mysql
