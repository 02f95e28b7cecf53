// A store that misbehaves on request, so that tests can prove what its users do about it.
//
//   FaultyStore store(storage::open_memory_store());
//   store.inject({Operation::put, "packs/", 2}, Fail{{ErrorCode::unavailable, "injected"}});
//
// A fault that never fires is a test that proves nothing: the destructor fails the running test for
// each of them, and unfired() names them.
//
// Threads: all members are safe from any thread; inject() and destruction belong to the test's own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "storage/object_store.hpp"
#include "util/error.hpp"

namespace dbbackup::test {

enum class Operation { put, put_new, get, stat, list, remove, space };
std::string_view operation_name(Operation operation);

// Holds calls back until the test lets them go.
class Gate {
 public:
  // Blocks until a call waits at the gate.
  void await_arrival();
  // Lets everybody through, from now on.
  void open();
  // For the store. Errors: cancelled, when a stop is requested while waiting.
  void pass(const std::stop_token& stop);

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool arrived_ = false;
  bool open_ = false;
};

// The effects.
struct Fail {  // the store is not touched
  util::Error error;
};
struct FailAfter {  // the operation is done, but reported as failed
  util::Error error;
};
struct Truncate {  // get() returns no more than the first `keep` bytes
  std::size_t keep = 0;
};
struct FlipBit {  // get() returns the content with this bit (modulo its length) changed
  std::size_t bit = 0;
};
struct Block {  // the call waits at the gate and then goes on. Requires: the gate outlives the
                // store.
  Gate* gate = nullptr;
};
using Effect = std::variant<Fail, FailAfter, Truncate, FlipBit, Block>;

// Which calls: those of `operation` whose key (for list its prefix, for space nothing) begins with
// `key_prefix`, from the `first`-th of them on (1-based, counted from inject()), `count` of them in
// a row.
struct When {
  Operation operation;
  std::string key_prefix = {};
  std::size_t first = 1;
  std::size_t count = 1;
};
// As `count`: every further call. Counts as fired once it fired at all.
inline constexpr std::size_t kAlways = ~std::size_t{0};

class FaultyStore final : public storage::ObjectStore {
 public:
  // Requires: inner outlives this.
  explicit FaultyStore(storage::ObjectStore& inner);
  explicit FaultyStore(std::unique_ptr<storage::ObjectStore> inner);
  ~FaultyStore() override;

  // Several faults may hit one call; they take effect in the order of their injection.
  // Requires: Truncate and FlipBit go with get.
  void inject(When when, Effect effect);

  std::size_t fired() const;                 // faults that took effect, over all rules
  std::vector<std::string> unfired() const;  // the rules that did not fire as often as they say
  // How many calls reached this store, faulty or not.
  std::size_t calls(Operation operation, std::string_view key_prefix = {}) const;

  void put(const std::string& key, util::ByteView content, std::stop_token stop = {}) override;
  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop = {}) override;
  util::Bytes get(const std::string& key, std::optional<storage::Range> range = {},
                  std::stop_token stop = {}) override;
  std::optional<storage::ObjectInfo> stat(const std::string& key,
                                          std::stop_token stop = {}) override;
  void list(const std::string& prefix, const std::function<void(const storage::ObjectInfo&)>& each,
            std::stop_token stop = {}) override;
  void remove(const std::string& key, std::stop_token stop = {}) override;
  std::optional<storage::Space> space() override;
  std::string describe() const override;

 private:
  struct Rule {
    When when;
    Effect effect;
    std::size_t seen = 0;
    std::size_t fired = 0;
  };
  struct Call {
    Operation operation;
    std::string key;
  };
  using Rules = std::vector<std::shared_ptr<Rule>>;

  // Notes the call and finds the rules that hit it.
  Rules rules_for(Operation operation, const std::string& key);
  // The effects before and after the operation itself, and on what get() returns.
  void before(const Rules& rules, const std::stop_token& stop);
  void after(const Rules& rules);
  void alter(const Rules& rules, util::Bytes& content);
  void note_fired(Rule& rule);

  std::unique_ptr<storage::ObjectStore> owned_;  // empty when the inner store belongs to the test
  storage::ObjectStore& inner_;
  mutable std::mutex mutex_;
  Rules rules_;
  std::vector<Call> calls_;
};

}  // namespace dbbackup::test
