#include "crypto/secret.hpp"

#include <sodium.h>

#include <utility>

namespace dbbackup::crypto {

void wipe(void* memory, std::size_t size) { sodium_memzero(memory, size); }

// The vector is filled once and never grows, so no unwiped copy is left behind by a reallocation.
Secret::Secret(util::ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}

Secret Secret::from_text(std::string_view text) { return Secret(util::as_bytes(text)); }

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) *this = Secret(other);
  return *this;
}

Secret::Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(bytes_.data(), bytes_.size());
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

Secret::~Secret() { wipe(bytes_.data(), bytes_.size()); }

bool Secret::operator==(const Secret& other) const {
  return size() == other.size() && sodium_memcmp(bytes_.data(), other.bytes_.data(), size()) == 0;
}

}  // namespace dbbackup::crypto
