#include "support/faulty_store.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "util/text.hpp"

namespace dbbackup::test {

std::string_view operation_name(Operation operation) {
  switch (operation) {
    case Operation::put:
      return "put";
    case Operation::put_new:
      return "put_new";
    case Operation::get:
      return "get";
    case Operation::stat:
      return "stat";
    case Operation::list:
      return "list";
    case Operation::remove:
      return "remove";
    case Operation::space:
      return "space";
  }
  return "unknown";
}

void Gate::await_arrival() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return arrived_; });
}

void Gate::open() {
  const std::scoped_lock lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

void Gate::pass(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  arrived_ = true;
  changed_.notify_all();
  if (!changed_.wait(lock, stop, [&] { return open_; })) {
    throw util::Error(util::ErrorCode::cancelled, "cancelled while waiting at a gate");
  }
}

FaultyStore::FaultyStore(storage::ObjectStore& inner) : inner_(inner) {}

FaultyStore::FaultyStore(std::unique_ptr<storage::ObjectStore> inner)
    : owned_(std::move(inner)), inner_(*owned_) {}

FaultyStore::~FaultyStore() {
  if (std::uncaught_exceptions() > 0) return;  // the test has failed for another reason
  for (const std::string& rule : unfired()) FAIL_CHECK("an injected fault never fired: " << rule);
}

void FaultyStore::inject(When when, Effect effect) {
  const bool alters =
      std::holds_alternative<Truncate>(effect) || std::holds_alternative<FlipBit>(effect);
  if (alters && when.operation != Operation::get) {
    throw std::logic_error("only what get() returns can be altered");
  }
  const std::scoped_lock lock(mutex_);
  rules_.push_back(std::make_shared<Rule>(Rule{std::move(when), std::move(effect)}));
}

std::size_t FaultyStore::fired() const {
  const std::scoped_lock lock(mutex_);
  std::size_t sum = 0;
  for (const auto& rule : rules_) sum += rule->fired;
  return sum;
}

std::vector<std::string> FaultyStore::unfired() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& rule : rules_) {
    const When& when = rule->when;
    if (rule->fired >= (when.count == kAlways ? 1 : when.count)) continue;
    names.push_back(util::cat(operation_name(when.operation), " ", when.key_prefix, "* from call ",
                              when.first, ", fired ", rule->fired, " times"));
  }
  return names;
}

std::size_t FaultyStore::calls(Operation operation, std::string_view key_prefix) const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(calls_.begin(), calls_.end(), [&](const Call& call) {
        return call.operation == operation && call.key.starts_with(key_prefix);
      }));
}

void FaultyStore::put(const std::string& key, util::ByteView content, std::stop_token stop) {
  const Rules rules = rules_for(Operation::put, key);
  before(rules, stop);
  inner_.put(key, content, stop);
  after(rules);
}

bool FaultyStore::put_new(const std::string& key, util::ByteView content, std::stop_token stop) {
  const Rules rules = rules_for(Operation::put_new, key);
  before(rules, stop);
  const bool created = inner_.put_new(key, content, stop);
  after(rules);
  return created;
}

util::Bytes FaultyStore::get(const std::string& key, std::optional<storage::Range> range,
                             std::stop_token stop) {
  const Rules rules = rules_for(Operation::get, key);
  before(rules, stop);
  util::Bytes content = inner_.get(key, range, stop);
  alter(rules, content);
  after(rules);
  return content;
}

std::optional<storage::ObjectInfo> FaultyStore::stat(const std::string& key, std::stop_token stop) {
  const Rules rules = rules_for(Operation::stat, key);
  before(rules, stop);
  auto info = inner_.stat(key, stop);
  after(rules);
  return info;
}

void FaultyStore::list(const std::string& prefix,
                       const std::function<void(const storage::ObjectInfo&)>& each,
                       std::stop_token stop) {
  const Rules rules = rules_for(Operation::list, prefix);
  before(rules, stop);
  inner_.list(prefix, each, stop);
  after(rules);
}

void FaultyStore::remove(const std::string& key, std::stop_token stop) {
  const Rules rules = rules_for(Operation::remove, key);
  before(rules, stop);
  inner_.remove(key, stop);
  after(rules);
}

std::optional<storage::Space> FaultyStore::space() {
  const Rules rules = rules_for(Operation::space, "");
  before(rules, {});
  const auto space = inner_.space();
  after(rules);
  return space;
}

std::string FaultyStore::describe() const { return inner_.describe(); }

FaultyStore::Rules FaultyStore::rules_for(Operation operation, const std::string& key) {
  const std::scoped_lock lock(mutex_);
  calls_.push_back({operation, key});
  Rules hit;
  for (const auto& rule : rules_) {
    const When& when = rule->when;
    if (when.operation != operation || !key.starts_with(when.key_prefix)) continue;
    ++rule->seen;
    if (rule->seen >= when.first && rule->seen - when.first < when.count) hit.push_back(rule);
  }
  return hit;
}

void FaultyStore::before(const Rules& rules, const std::stop_token& stop) {
  for (const auto& rule : rules) {
    if (const auto* block = std::get_if<Block>(&rule->effect)) {
      note_fired(*rule);
      block->gate->pass(stop);
    } else if (const auto* fail = std::get_if<Fail>(&rule->effect)) {
      note_fired(*rule);
      throw fail->error;
    }
  }
}

void FaultyStore::after(const Rules& rules) {
  for (const auto& rule : rules) {
    if (const auto* fail = std::get_if<FailAfter>(&rule->effect)) {
      note_fired(*rule);
      throw fail->error;
    }
  }
}

// What leaves the content as it was has not fired.
void FaultyStore::alter(const Rules& rules, util::Bytes& content) {
  for (const auto& rule : rules) {
    if (const auto* truncate = std::get_if<Truncate>(&rule->effect)) {
      if (content.size() <= truncate->keep) continue;
      content.resize(truncate->keep);
      note_fired(*rule);
    } else if (const auto* flip = std::get_if<FlipBit>(&rule->effect)) {
      if (content.empty()) continue;
      const std::size_t bit = flip->bit % (content.size() * 8);
      content[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      note_fired(*rule);
    }
  }
}

void FaultyStore::note_fired(Rule& rule) {
  const std::scoped_lock lock(mutex_);
  ++rule.fired;
}

}  // namespace dbbackup::test
