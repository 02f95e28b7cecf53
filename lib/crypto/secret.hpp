// Secrets that cannot be printed by accident and are wiped when they go.
//
// Threads: values. Owns: its memory, which is zeroed before it is released.
#pragma once

#include <string>
#include <string_view>

#include "util/bytes.hpp"

namespace dbbackup::crypto {

// Key material or a password. Has no operator<<, no implicit conversion and compares in constant
// time.
class Secret {
 public:
  Secret() = default;
  explicit Secret(util::ByteView bytes);
  static Secret from_text(std::string_view text);
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }
  // The only ways to the content; name them where you use them.
  util::ByteView reveal() const { return bytes_; }
  std::string_view reveal_text() const { return util::as_text(bytes_); }
  bool operator==(const Secret& other) const;

 private:
  util::Bytes bytes_;
};

// Zeroes a buffer in a way the compiler may not drop.
void wipe(void* memory, std::size_t size);

}  // namespace dbbackup::crypto
