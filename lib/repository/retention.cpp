#include "repository/retention.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "util/text.hpp"

namespace dbbackup::repository {

using util::cat;

namespace {

// Two hours that a clock shows alike (in the night it is set back) differ in their offset.
using Period = std::pair<std::int64_t, std::int64_t>;

struct LocalTime {
  std::chrono::sys_time<util::Milliseconds> time;  // what the job's clocks show, as if it were UTC
  util::Seconds offset;

  std::chrono::sys_days day() const { return std::chrono::floor<std::chrono::days>(time); }
  std::chrono::year_month_day date() const { return day(); }
};

Period hour_of(const LocalTime& local) {
  const auto hour = std::chrono::floor<std::chrono::hours>(local.time);
  return {hour.time_since_epoch().count(), local.offset.count()};
}

Period day_of(const LocalTime& local) { return {local.day().time_since_epoch().count(), 0}; }

// Source: ISO 8601, weeks begin on Monday; 1970-01-01 was a Thursday.
Period week_of(const LocalTime& local) {
  const std::chrono::sys_days monday =
      local.day() - (std::chrono::weekday(local.day()) - std::chrono::Monday);
  return {monday.time_since_epoch().count(), 0};
}

Period month_of(const LocalTime& local) {
  return {static_cast<int>(local.date().year()), static_cast<unsigned>(local.date().month())};
}

Period year_of(const LocalTime& local) { return {static_cast<int>(local.date().year()), 0}; }

class Applying {
 public:
  Applying(std::vector<RetentionItem> artifacts, const RetentionPolicy& policy, util::TimePoint now)
      : artifacts_(std::move(artifacts)), policy_(policy), now_(now) {
    std::sort(artifacts_.begin(), artifacts_.end(),
              [](const RetentionItem& a, const RetentionItem& b) {
                return std::pair(a.created, a.id) > std::pair(b.created, b.id);
              });
  }

  Retention run() {
    if (!policy_.frozen.empty()) {
      keep_all(policy_.frozen);
    } else if (!has_rules()) {
      keep_all("no retention rule is set");
    } else {
      keep_newest();
      keep_last();
      keep_periods(policy_.hourly, "hourly", hour_of);
      keep_periods(policy_.daily, "daily", day_of);
      keep_periods(policy_.weekly, "weekly", week_of);
      keep_periods(policy_.monthly, "monthly", month_of);
      keep_periods(policy_.yearly, "yearly", year_of);
      keep_within();
      keep_protected();
      keep_a_proved_one();
      keep_bases();
    }
    return verdict();
  }

 private:
  bool has_rules() const {
    return policy_.last > 0 || policy_.hourly > 0 || policy_.daily > 0 || policy_.weekly > 0 ||
           policy_.monthly > 0 || policy_.yearly > 0 || policy_.within.has_value();
  }

  static bool counts(const RetentionItem& artifact) {
    return !artifact.damaged && !artifact.partial;
  }

  void keep(const RetentionItem& artifact, std::string reason) {
    reasons_[artifact.id].push_back(std::move(reason));
  }

  bool kept(const std::string& id) const { return reasons_.contains(id); }

  void keep_all(const std::string& reason) {
    for (const RetentionItem& artifact : artifacts_) keep(artifact, reason);
  }

  void keep_newest() {
    const auto newest = std::find_if(artifacts_.begin(), artifacts_.end(), counts);
    if (newest != artifacts_.end()) keep(*newest, "newest");
    // Nothing complete at all: an incomplete one is all there is to restore.
    else if (!artifacts_.empty())
      keep(artifacts_.front(), "newest");
  }

  void keep_last() {
    std::int64_t number = 0;
    for (const RetentionItem& artifact : artifacts_) {
      if (number >= policy_.last) return;
      if (counts(artifact)) keep(artifact, cat("last ", ++number, " of ", policy_.last));
    }
  }

  template <typename PeriodOf>
  void keep_periods(std::int64_t wanted, std::string_view name, PeriodOf period_of) {
    std::set<Period> seen;
    for (const RetentionItem& artifact : artifacts_) {
      if (static_cast<std::int64_t>(seen.size()) >= wanted) return;
      if (!counts(artifact) || !seen.insert(period_of(local(artifact.created))).second) continue;
      keep(artifact, cat(name, " ", seen.size(), " of ", wanted));
    }
  }

  void keep_within() {
    if (!policy_.within) return;
    for (const RetentionItem& artifact : artifacts_) {
      if (artifact.damaged || now_ - artifact.created > *policy_.within) continue;
      keep(artifact, cat("within ", util::format_duration(*policy_.within)));
    }
  }

  void keep_protected() {
    for (const RetentionItem& artifact : artifacts_) {
      if (artifact.damaged) {
        keep(artifact, "damaged: counts for no rule, and is only removed by hand");
      }
      if (!artifact.protection.empty()) keep(artifact, artifact.protection);
    }
  }

  void keep_a_proved_one() {
    const auto proved = [](const RetentionItem& artifact) {
      return artifact.proved && !artifact.damaged;
    };
    const RetentionItem* newest = nullptr;
    for (const RetentionItem& artifact : artifacts_) {
      if (!proved(artifact)) continue;
      if (kept(artifact.id)) return;
      if (newest == nullptr) newest = &artifact;
    }
    if (newest != nullptr) keep(*newest, "no newer artifact that stays is proved");
  }

  // Newest first, so that a chain is followed to its end: a base is older than what builds on it,
  // but clocks jump; hence until nothing changes.
  void keep_bases() {
    std::map<std::string, const RetentionItem*> by_id;
    for (const RetentionItem& artifact : artifacts_) by_id[artifact.id] = &artifact;
    for (bool changed = true; changed;) {
      changed = false;
      for (const RetentionItem& artifact : artifacts_) {
        const auto base = by_id.find(artifact.base);
        if (!kept(artifact.id) || base == by_id.end() || kept(artifact.base)) continue;
        keep(*base->second, cat("differential ", artifact.id, " builds on it"));
        changed = true;
      }
    }
  }

  LocalTime local(util::TimePoint time) const {
    const util::Seconds offset = policy_.utc_offset ? policy_.utc_offset(time) : util::Seconds(0);
    return {time + offset, offset};
  }

  Retention verdict() {
    Retention result;
    for (const RetentionItem& artifact : artifacts_) {
      (kept(artifact.id) ? result.keep : result.remove).push_back(artifact.id);
    }
    result.frozen = policy_.frozen;
    result.reasons = std::move(reasons_);
    for (const RetentionItem& artifact : artifacts_) {
      std::vector<std::string>& reasons = result.reasons[artifact.id];
      if (reasons.empty()) {
        reasons.emplace_back(artifact.partial ? "partial, and no rule keeps it"
                                              : "no rule keeps it");
      }
    }
    return result;
  }

  std::vector<RetentionItem> artifacts_;  // newest first
  const RetentionPolicy& policy_;
  const util::TimePoint now_;
  std::map<std::string, std::vector<std::string>> reasons_;  // of what is kept
};

}  // namespace

Retention apply_retention(std::vector<RetentionItem> artifacts, const RetentionPolicy& policy,
                          util::TimePoint now) {
  return Applying(std::move(artifacts), policy, now).run();
}

}  // namespace dbbackup::repository
