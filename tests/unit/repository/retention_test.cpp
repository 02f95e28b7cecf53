// Retention: every rule by table, every protection, and what must hold for any history.
#include "repository/retention.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "schedule/zone.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {
namespace {

using Ids = std::vector<std::string>;

util::TimePoint at(const std::string& text) { return util::parse_time(text).value(); }

// Named by its time: what a test expects reads as dates.
RetentionItem made(const std::string& time) { return {.id = time, .created = at(time)}; }

std::vector<RetentionItem> made(const Ids& times) {
  std::vector<RetentionItem> artifacts;
  for (const std::string& time : times) artifacts.push_back(made(time));
  return artifacts;
}

RetentionPolicy in_zone(RetentionPolicy policy, const std::string& name) {
  policy.utc_offset = [zone = schedule::TimeZone::load(name)](util::TimePoint time) {
    return zone.period_at(time).offset;
  };
  return policy;
}

RetentionItem& item(std::vector<RetentionItem>& artifacts, const std::string& id) {
  return *std::find_if(artifacts.begin(), artifacts.end(),
                       [&](const RetentionItem& artifact) { return artifact.id == id; });
}

std::string reasons(const Retention& retention, const std::string& id) {
  return util::join(retention.reasons.at(id), "; ");
}

const util::TimePoint kNow = at("2027-01-15T12:00:00Z");

}  // namespace

TEST_CASE("retention: each rule by itself", "[retention]") {
  struct Case {
    const char* name;
    RetentionPolicy policy;
    Ids artifacts;
    Ids kept;
  };
  using std::chrono::hours;
  const std::vector<Case> cases{
      {"nothing there", {.last = 3}, {}, {}},
      {"no rules keep everything", {}, {"2026-01-02", "2020-01-01"}, {"2026-01-02", "2020-01-01"}},
      {"last counts artifacts, in any order given",
       {.last = 2},
       {"2027-01-01", "2027-01-03", "2027-01-02"},
       {"2027-01-03", "2027-01-02"}},
      {"fewer than promised", {.last = 5}, {"2027-01-01"}, {"2027-01-01"}},
      {"hourly: the newest of each hour",
       {.hourly = 2},
       {"2027-01-01T10:05:00Z", "2027-01-01T10:55:00Z", "2027-01-01T11:00:00Z",
        "2027-01-01T11:59:59Z", "2027-01-01T09:59:59Z"},
       {"2027-01-01T11:59:59Z", "2027-01-01T10:55:00Z"}},
      {"daily: days without artifacts do not count",
       {.daily = 3},
       {"2026-12-01T01:00:00Z", "2026-12-01T23:00:00Z", "2026-12-20T01:00:00Z",
        "2027-01-10T01:00:00Z", "2026-11-01T01:00:00Z"},
       {"2027-01-10T01:00:00Z", "2026-12-20T01:00:00Z", "2026-12-01T23:00:00Z"}},
      {"weekly: from Monday to Sunday, across the year's end",
       {.weekly = 2},
       {"2026-12-27", "2026-12-28", "2027-01-03", "2027-01-04", "2026-12-21"},
       {"2027-01-04", "2027-01-03"}},
      {"monthly",
       {.monthly = 2},
       {"2027-01-01", "2026-12-31T23:59:59Z", "2026-12-01", "2026-11-30"},
       {"2027-01-01", "2026-12-31T23:59:59Z"}},
      {"yearly",
       {.yearly = 3},
       {"2027-01-01", "2026-12-31", "2026-01-01", "2024-02-29", "2023-05-05"},
       {"2027-01-01", "2026-12-31", "2024-02-29"}},
      {"within: its end included",
       {.within = hours(24)},
       {"2027-01-15T11:00:00Z", "2027-01-14T12:00:00Z", "2027-01-14T11:59:59.999Z"},
       {"2027-01-15T11:00:00Z", "2027-01-14T12:00:00Z"}},
      {"the newest stays, however old",
       {.within = hours(1)},
       {"2020-01-01", "2019-01-01"},
       {"2020-01-01"}},
      {"rules add up",
       {.last = 1, .daily = 2, .monthly = 2},
       {"2027-01-14", "2027-01-13", "2027-01-12", "2026-12-30", "2026-12-29", "2026-11-30"},
       {"2027-01-14", "2027-01-13", "2026-12-30"}},
      {"the days of Berlin, not those of UTC",
       in_zone({.daily = 2}, "Europe/Berlin"),
       {"2026-07-01T21:59:00Z", "2026-07-01T22:01:00Z", "2026-07-02T21:00:00Z",
        "2026-06-30T22:30:00Z"},
       {"2026-07-02T21:00:00Z", "2026-07-01T21:59:00Z"}},
      {"half an hour off: hours of Kolkata",
       in_zone({.hourly = 2}, "Asia/Kolkata"),
       {"2027-01-01T10:25:00Z", "2027-01-01T10:35:00Z", "2027-01-01T11:25:00Z"},
       {"2027-01-01T11:25:00Z", "2027-01-01T10:25:00Z"}},
      {"the night the clocks go back has its hour twice",
       in_zone({.hourly = 3}, "Europe/Berlin"),
       {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"},
       {"2026-10-25T02:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z"}},
      {"a clock that was ahead",
       {.within = hours(1)},
       {"2030-01-01", "2027-01-15T11:59:00Z"},
       {"2030-01-01", "2027-01-15T11:59:00Z"}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    const Retention retention = apply_retention(made(one.artifacts), one.policy, kNow);
    CHECK(retention.keep == one.kept);
    CHECK(retention.keep.size() + retention.remove.size() == one.artifacts.size());
    for (const std::string& id : one.artifacts) CHECK_FALSE(retention.reasons.at(id).empty());
  }
}

TEST_CASE("retention: reasons name every rule that keeps an artifact", "[retention]") {
  const Retention retention = apply_retention(made({"2027-01-14", "2027-01-13", "2027-01-12"}),
                                              {.last = 2, .daily = 1, .monthly = 6}, kNow);
  CHECK(reasons(retention, "2027-01-14") == "newest; last 1 of 2; daily 1 of 1; monthly 1 of 6");
  CHECK(reasons(retention, "2027-01-13") == "last 2 of 2");
  CHECK(reasons(retention, "2027-01-12") == "no rule keeps it");
}

TEST_CASE("retention: what is protected stays", "[retention]") {
  std::vector<RetentionItem> artifacts =
      made({"2027-01-05", "2027-01-04", "2027-01-03", "2027-01-02", "2027-01-01"});
  const RetentionPolicy policy{.last = 1};
  SECTION("a held one, by its reason") {
    item(artifacts, "2027-01-02").protection = "held: audit";
    const Retention retention = apply_retention(artifacts, policy, kNow);
    CHECK(retention.keep == Ids{"2027-01-05", "2027-01-02"});
    CHECK(reasons(retention, "2027-01-02") == "held: audit");
  }
  SECTION("the only proved one, and of several the newest") {
    item(artifacts, "2027-01-02").proved = true;
    item(artifacts, "2027-01-01").proved = true;
    CHECK(apply_retention(artifacts, policy, kNow).keep == Ids{"2027-01-05", "2027-01-02"});
    item(artifacts, "2027-01-05").proved = true;
    CHECK(apply_retention(artifacts, policy, kNow).keep == Ids{"2027-01-05"});
  }
  SECTION("a damaged proof proves nothing") {
    item(artifacts, "2027-01-04").proved = true;
    item(artifacts, "2027-01-04").damaged = true;
    item(artifacts, "2027-01-01").proved = true;
    CHECK(apply_retention(artifacts, policy, kNow).keep ==
          Ids{"2027-01-05", "2027-01-04", "2027-01-01"});
  }
  SECTION("what a differential builds on, through the whole chain") {
    item(artifacts, "2027-01-05").base = "2027-01-03";
    item(artifacts, "2027-01-03").base = "2027-01-01";
    const Retention retention = apply_retention(artifacts, policy, kNow);
    CHECK(retention.keep == Ids{"2027-01-05", "2027-01-03", "2027-01-01"});
    CHECK(reasons(retention, "2027-01-01") == "differential 2027-01-03 builds on it");
  }
  SECTION("a base that is newer by a clock that jumped") {
    item(artifacts, "2027-01-05").base = "2027-01-02";
    item(artifacts, "2027-01-02").base = "2027-01-04";
    CHECK(apply_retention(artifacts, policy, kNow).keep ==
          Ids{"2027-01-05", "2027-01-04", "2027-01-02"});
  }
  SECTION("damaged and partial ones push no good one out") {
    item(artifacts, "2027-01-05").damaged = true;
    item(artifacts, "2027-01-04").partial = true;
    const Retention retention = apply_retention(artifacts, {.last = 2}, kNow);
    CHECK(retention.keep == Ids{"2027-01-05", "2027-01-03", "2027-01-02"});
    CHECK(reasons(retention, "2027-01-04") == "partial, and no rule keeps it");
  }
  SECTION("a partial one, when there is nothing else") {
    for (RetentionItem& artifact : artifacts) artifact.partial = true;
    CHECK(apply_retention(artifacts, policy, kNow).keep == Ids{"2027-01-05"});
  }
  SECTION("everything, while it is frozen") {
    const Retention retention =
        apply_retention(artifacts, {.last = 1, .frozen = "the newest run failed"}, kNow);
    CHECK(retention.remove.empty());
    CHECK(reasons(retention, "2027-01-01") == "the newest run failed");
  }
}

// -- properties, over histories made by chance

namespace {

class Chance {
 public:
  explicit Chance(unsigned seed) : random_(seed) {}
  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit));
  }
  bool one_in(std::int64_t count) { return below(count) == 0; }

  RetentionPolicy policy() {
    RetentionPolicy policy;
    policy.last = below(5);
    policy.hourly = below(4);
    policy.daily = below(8);
    policy.weekly = below(5);
    policy.monthly = below(13);
    policy.yearly = below(4);
    if (one_in(3)) policy.within = std::chrono::hours(below(2000));
    static const char* const kZones[] = {"UTC", "Europe/Berlin", "America/New_York",
                                         "Australia/Lord_Howe", "Asia/Kathmandu"};
    return in_zone(std::move(policy), kZones[below(5)]);
  }

  // In the order of time; the last one is at most an hour before kNow.
  std::vector<RetentionItem> history(bool with_protections) {
    std::vector<RetentionItem> artifacts;
    const std::int64_t count = below(120);
    util::TimePoint time = kNow - util::Milliseconds(below(3'600'000));
    const std::int64_t step = one_in(2) ? 7'200'000 : 400'000'000;
    for (std::int64_t i = 0; i < count; ++i) {
      RetentionItem artifact{.id = util::cat("a", 1000 - i), .created = time};
      if (with_protections) {
        artifact.proved = one_in(10);
        artifact.damaged = one_in(20);
        artifact.partial = one_in(15);
        if (one_in(25)) artifact.protection = "held";
      }
      artifacts.push_back(artifact);
      time -= util::Milliseconds(1 + below(step));
    }
    if (with_protections) {
      for (std::size_t i = 0; i + 1 < artifacts.size(); ++i) {
        if (!one_in(6)) continue;
        const auto older = static_cast<std::int64_t>(artifacts.size() - i - 1);
        artifacts[i].base = artifacts[i + 1 + static_cast<std::size_t>(below(older))].id;
      }
    }
    std::reverse(artifacts.begin(), artifacts.end());
    return artifacts;
  }

 private:
  std::mt19937_64 random_;
};

std::vector<RetentionItem> only(const std::vector<RetentionItem>& artifacts, const Ids& ids) {
  const std::set<std::string> wanted(ids.begin(), ids.end());
  std::vector<RetentionItem> chosen;
  for (const RetentionItem& artifact : artifacts) {
    if (wanted.contains(artifact.id)) chosen.push_back(artifact);
  }
  return chosen;
}

}  // namespace

TEST_CASE("retention: for any history", "[retention]") {
  for (unsigned seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    Chance chance(seed);
    const RetentionPolicy policy = chance.policy();
    const std::vector<RetentionItem> artifacts = chance.history(true);
    const Retention retention = apply_retention(artifacts, policy, kNow);
    const std::set<std::string> kept(retention.keep.begin(), retention.keep.end());

    // Each artifact is on one side, with a reason.
    REQUIRE(retention.keep.size() + retention.remove.size() == artifacts.size());
    REQUIRE(retention.reasons.size() == artifacts.size());
    // Twice is once.
    REQUIRE(apply_retention(only(artifacts, retention.keep), policy, kNow).remove.empty());
    // Never less than promised.
    const auto good = std::count_if(artifacts.begin(), artifacts.end(), [](const auto& artifact) {
      return !artifact.damaged && !artifact.partial;
    });
    REQUIRE(static_cast<std::int64_t>(kept.size()) >= std::min<std::int64_t>(good, policy.last));
    if (good > 0) REQUIRE_FALSE(kept.empty());
    bool was_proved = false;
    bool stays_proved = false;
    for (const RetentionItem& artifact : artifacts) {
      const bool stays = kept.contains(artifact.id);
      if (artifact.damaged || !artifact.protection.empty()) REQUIRE(stays);
      if (stays && !artifact.base.empty()) REQUIRE(kept.contains(artifact.base));
      const bool proved = artifact.proved && !artifact.damaged;
      was_proved = was_proved || proved;
      stays_proved = stays_proved || (proved && stays);
    }
    REQUIRE(was_proved == stays_proved);
  }
}

TEST_CASE("retention: applied after every backup it keeps what it keeps when applied once",
          "[retention]") {
  for (unsigned seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Chance chance(seed);
    const RetentionPolicy policy = chance.policy();
    const std::vector<RetentionItem> artifacts = chance.history(false);
    std::vector<RetentionItem> surviving;
    for (const RetentionItem& artifact : artifacts) {
      surviving.push_back(artifact);
      surviving = only(surviving, apply_retention(surviving, policy, artifact.created).keep);
    }
    Ids step_by_step = apply_retention(surviving, policy, kNow).keep;
    REQUIRE(step_by_step == apply_retention(artifacts, policy, kNow).keep);
  }
}

TEST_CASE("retention: an older artifact that turns up displaces none by its count", "[retention]") {
  for (unsigned seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Chance chance(seed);
    const RetentionPolicy policy = chance.policy();
    std::vector<RetentionItem> artifacts = chance.history(false);
    if (artifacts.empty()) continue;
    const Ids before = apply_retention(artifacts, policy, kNow).keep;
    artifacts.push_back(
        {.id = "found", .created = artifacts.front().created - std::chrono::hours(1)});
    const Ids after = apply_retention(artifacts, policy, kNow).keep;
    REQUIRE(std::includes(after.rbegin(), after.rend(), before.rbegin(), before.rend(),
                          [](const std::string& a, const std::string& b) {
                            return (a == "found") != (b == "found") ? a == "found" : a < b;
                          }));
  }
}

}  // namespace dbbackup::repository
