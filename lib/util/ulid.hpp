// ULIDs: 128-bit ids that sort by creation time; 26 characters, shown in lower case.
// Source: github.com/ulid/spec (48 bits of Unix milliseconds, 80 random bits, Crockford's base 32).
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "util/time.hpp"

namespace dbbackup::util {

// Threads: safe from any thread. Ids made within one millisecond, or after the clock went back,
// still increase.
class UlidSource {
 public:
  explicit UlidSource(const Clock& clock) : clock_(clock) {}
  std::string next();

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::uint64_t last_ms_ = 0;
  std::uint8_t random_[10] = {};
};

bool is_ulid(std::string_view text);
// True for a prefix that may stand for an id: 6 to 26 characters of the alphabet.
bool is_ulid_prefix(std::string_view text);

}  // namespace dbbackup::util
