#include "simulation/shelf.hpp"

#include <algorithm>

#include "simulation/invariants.hpp"
#include "util/text.hpp"

namespace dbbackup::simulation {

using std::chrono::floor;
using util::cat;
using util::TimePoint;

namespace {
std::string day_of(TimePoint local) { return util::format_rfc3339(local).substr(0, 10); }
std::string hour_of(TimePoint local) { return util::format_rfc3339(local).substr(0, 13); }
std::string month_of(TimePoint local) { return util::format_rfc3339(local).substr(0, 7); }
std::string year_of(TimePoint local) { return util::format_rfc3339(local).substr(0, 4); }
// Named after its Monday.
std::string week_of(TimePoint local) {
  const auto day = floor<std::chrono::days>(local);
  const unsigned since_monday = std::chrono::weekday(day).iso_encoding() - 1;
  return day_of(day - std::chrono::days(since_monday));
}
}  // namespace

Shelf::Shelf(std::string job, repository::RetentionPolicy policy, const schedule::TimeZone& zone)
    : job_(std::move(job)), policy_(std::move(policy)), zone_(zone) {
  policy_.utc_offset = [this](TimePoint time) { return zone_.period_at(time).offset; };
  rules_ = {{"hourly", policy_.hourly, hour_of},
            {"daily", policy_.daily, day_of},
            {"weekly", policy_.weekly, week_of},
            {"monthly", policy_.monthly, month_of},
            {"yearly", policy_.yearly, year_of}};
}

void Shelf::fail(const std::string& what) const { throw Violation(cat("job ", job_, ": ", what)); }

void Shelf::seal(const Sealed& artifact) {
  const std::string number = std::to_string(ledger_.size());
  const std::string id = std::string(6 - number.size(), '0') + number;
  const Order order(artifact.created, id);
  ledger_[id] = artifact;
  all_.insert(order);
  there_.insert(id);
  if (artifact.proved) proved_.insert(id);
  if (artifact.partial) return;
  complete_.insert(order);
  const TimePoint local = artifact.created + zone_.period_at(artifact.created).offset;
  for (Rule& rule : rules_) {
    if (rule.count == 0) continue;
    Order& newest = rule.newest[rule.period(local)];
    newest = std::max(newest, order);
  }
}

void Shelf::thin(TimePoint now, const std::string& frozen) {
  std::vector<repository::RetentionItem> items;
  for (const std::string& id : there_) {
    const Sealed& sealed = ledger_.at(id);
    items.push_back({.id = id,
                     .created = sealed.created,
                     .proved = sealed.proved,
                     .partial = sealed.partial,
                     .protection = sealed.held_until > now ? "held" : ""});
  }
  policy_.frozen = frozen;
  const repository::Retention outcome = repository::apply_retention(items, policy_, now);
  if (outcome.keep.size() + outcome.remove.size() != items.size()) fail("an artifact was lost");
  if (!frozen.empty() && !outcome.remove.empty()) fail("something went although " + frozen);
  for (const std::string& id : outcome.remove) {
    if (ledger_.at(id).held_until > now) fail(cat("artifact ", id, " went although it is held"));
    if (outcome.reasons.at(id).empty()) fail(cat("artifact ", id, " went without a reason"));
    there_.erase(id);
    ++removed_;
  }
  check(now);
}

void Shelf::check(TimePoint now) const {
  for (const Rule& rule : rules_) {
    std::int64_t left = rule.count;
    for (auto it = rule.newest.rbegin(); it != rule.newest.rend() && left > 0; ++it, --left) {
      if (there_.contains(it->second.second)) continue;
      fail(cat("keep-", rule.name, " promised the newest of ", it->first, ", made ",
               util::format_rfc3339(it->second.first)));
    }
  }
  std::int64_t left = std::max<std::int64_t>(policy_.last, 1);
  for (auto it = complete_.rbegin(); it != complete_.rend() && left > 0; ++it, --left) {
    if (!there_.contains(it->second)) fail(cat("keep-last promised artifact ", it->second));
  }
  for (auto it = all_.rbegin(); policy_.within && it != all_.rend(); ++it) {
    if (it->first <= now - *policy_.within) break;
    if (!there_.contains(it->second)) fail(cat("keep-within promised artifact ", it->second));
  }
  const auto is_there = [&](const std::string& id) { return there_.contains(id); };
  if (!proved_.empty() && std::none_of(proved_.rbegin(), proved_.rend(), is_there)) {
    fail("the only proved artifact went");
  }
}

}  // namespace dbbackup::simulation
