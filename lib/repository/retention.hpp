// Which artifacts of one job a retention policy keeps, which it lets go, and why: a pure function
// of facts, so that a dry run, a prune and a test all get the same answer.
//
// Every rule keeps the newest artifact of each of its newest N periods that have one (`last` counts
// artifacts); what any rule keeps stays. Periods are those of the job's own calendar, which the
// caller brings as a function, because this room knows no time zones. Applied after every backup or
// once a year, the same artifacts survive: the newest of a period stays the newest until its period
// falls out of the rule.
//
// Beyond the rules an artifact stays when it
//   - is the newest that counts, or the newest proved one while no other proved one stays;
//   - is held, in use, or what a kept differential builds on;
//   - is damaged: it counts for no rule, and only a person removes it.
// A partial artifact counts for no rule but `within`, so that it pushes no complete one out. While
// `frozen` gives a reason, and while there is no policy, nothing is removed at all.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "util/time.hpp"

namespace dbbackup::repository {

struct RetentionPolicy {
  std::int64_t last = 0;  // 0: this rule keeps nothing by itself
  std::int64_t hourly = 0;
  std::int64_t daily = 0;
  std::int64_t weekly = 0;  // ISO weeks: they begin on Monday
  std::int64_t monthly = 0;
  std::int64_t yearly = 0;
  std::optional<util::Milliseconds> within = {};
  // Offset of the job's clocks from UTC at an instant, east is positive; empty: UTC.
  std::function<util::Seconds(util::TimePoint)> utc_offset = {};
  std::string frozen = {};  // why nothing may be removed now
};

struct RetentionItem {
  std::string id;
  util::TimePoint created;
  std::string base = {};  // id of the artifact it builds on
  bool proved = false;
  bool damaged = false;
  bool partial = false;
  std::string protection = {};  // why it must stay whatever the rules say: a hold, a run using it
};

struct Retention {
  std::vector<std::string> keep;                            // newest first
  std::vector<std::string> remove;                          // newest first
  std::string frozen;                                       // the policy's: why nothing is removed
  std::map<std::string, std::vector<std::string>> reasons;  // of every artifact, at least one
};

Retention apply_retention(std::vector<RetentionItem> artifacts, const RetentionPolicy& policy,
                          util::TimePoint now);

}  // namespace dbbackup::repository
