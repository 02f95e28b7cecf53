#include "job/run_queue.hpp"

#include <algorithm>
#include <set>

#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;

namespace {
std::size_t count_of(const std::map<std::string, std::size_t>& counts, const std::string& name) {
  const auto it = counts.find(name);
  return it == counts.end() ? 0 : it->second;
}

void change(std::map<std::string, std::size_t>& counts, const std::string& name, int by) {
  if (name.empty()) return;
  std::size_t& count = counts[name];
  count = by > 0 ? count + 1 : count - 1;
  if (count == 0) counts.erase(name);
}
}  // namespace

void RunQueue::add(const std::string& id, Needs needs, bool delayed) {
  Group& group = groups_[needs.group];
  const std::uint64_t tag =
      group.waiting > 0 ? std::max(group.last_tag + 1, last_started_tag_) : last_started_tag_;
  group.last_tag = tag;
  ++group.waiting;
  const Position position{tag, arrivals_++};
  order_[position] = id;
  entries_[id] = {std::move(needs), position, delayed, false};
}

void RunQueue::delay(const std::string& id, bool delayed) {
  const auto it = entries_.find(id);
  if (it != entries_.end()) it->second.delayed = delayed;
}

void RunQueue::leave_queue(const Entry& entry) {
  order_.erase(entry.position);
  const auto group = groups_.find(entry.needs.group);
  if (--group->second.waiting == 0) groups_.erase(group);
}

void RunQueue::count(const Needs& needs, int by) {
  change(hosts_, needs.host, by);
  change(repositories_, needs.repository, by);
}

void RunQueue::remove(const std::string& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  if (entry.executes) {
    --executing_;
    lanes_.erase(entry.needs.lane);
    count(entry.needs, -1);
  } else {
    leave_queue(entry);
  }
  entries_.erase(it);
}

bool RunQueue::full(std::size_t limit, const std::string& name, const Counts& used,
                    const Counts& reserved) {
  if (limit == 0 || name.empty()) return false;
  return count_of(used, name) + count_of(reserved, name) >= limit;
}

std::vector<std::string> RunQueue::take() {
  std::vector<std::string> started;
  Counts reserved_hosts;
  Counts reserved_repositories;
  std::set<std::string> passed_lanes;  // an older run of the lane stays in front of the younger
  for (auto it = order_.begin(); it != order_.end() && executing_ < limits_.runs;) {
    const std::string id = it->second;
    ++it;  // before the entry leaves the queue
    Entry& entry = entries_.at(id);
    const Needs& needs = entry.needs;
    if (entry.delayed) continue;
    if (!needs.lane.empty() && (lanes_.contains(needs.lane) || passed_lanes.contains(needs.lane))) {
      continue;
    }
    if (full(limits_.per_host, needs.host, hosts_, reserved_hosts) ||
        full(limits_.per_repository, needs.repository, repositories_, reserved_repositories)) {
      change(reserved_hosts, needs.host, 1);
      change(reserved_repositories, needs.repository, 1);
      passed_lanes.insert(needs.lane);
      continue;
    }
    last_started_tag_ = std::max(last_started_tag_, entry.position.first);
    leave_queue(entry);
    entry.executes = true;
    ++executing_;
    if (!needs.lane.empty()) lanes_[needs.lane] = id;
    count(needs, 1);
    started.push_back(id);
  }
  return started;
}

bool RunQueue::waiting(const std::string& id) const {
  const auto it = entries_.find(id);
  return it != entries_.end() && !it->second.executes;
}

std::string RunQueue::waits_for(const std::string& id) const {
  const Needs& needs = entries_.at(id).needs;
  if (const auto lane = lanes_.find(needs.lane); lane != lanes_.end()) {
    return cat("run ", lane->second, " to end (one run of ", needs.lane, " at a time)");
  }
  if (executing_ >= limits_.runs) {
    return cat("one of the ", executing_, " running runs to end (runs_at_once: ", limits_.runs,
               ")");
  }
  if (full(limits_.per_host, needs.host, hosts_, {})) {
    return cat("a run on host ", needs.host, " to end (runs_per_host: ", limits_.per_host, ")");
  }
  if (full(limits_.per_repository, needs.repository, repositories_, {})) {
    return cat("a run in repository ", needs.repository,
               " to end (runs_per_repository: ", limits_.per_repository, ")");
  }
  return "earlier runs in the queue";
}

}  // namespace dbbackup::job
