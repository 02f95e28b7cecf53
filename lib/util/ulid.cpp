#include "util/ulid.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "util/error.hpp"

namespace dbbackup::util {

namespace {
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

void fill_random(std::uint8_t* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::getrandom(out, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw system_error("cannot get random bytes", errno);
    }
    out += got;
    size -= static_cast<std::size_t>(got);
  }
}
}  // namespace

std::string UlidSource::next() {
  const std::scoped_lock lock(mutex_);
  const auto now = static_cast<std::uint64_t>(to_unix_ms(clock_.now()));
  if (now > last_ms_) {
    last_ms_ = now;
    fill_random(random_, sizeof random_);
    random_[0] &= 0x7fU;  // room to count upwards within one millisecond
  } else {
    for (std::size_t i = sizeof random_; i-- > 0;) {
      if (++random_[i] != 0) break;
    }
  }
  std::string id(26, '0');
  for (std::size_t i = 0; i < 10; ++i) {
    id[i] = kAlphabet[(last_ms_ >> (5 * (9 - i))) & 31U];
  }
  // 80 random bits are 16 groups of 5.
  for (std::size_t i = 0; i < 16; ++i) {
    const std::size_t bit = i * 5;
    const std::size_t byte = bit / 8;
    unsigned window = static_cast<unsigned>(random_[byte]) << 8U;
    if (byte + 1 < sizeof random_) window |= random_[byte + 1];
    id[10 + i] = kAlphabet[(window >> (11 - bit % 8)) & 31U];
  }
  return id;
}

bool is_ulid(std::string_view text) { return text.size() == 26 && is_ulid_prefix(text); }

bool is_ulid_prefix(std::string_view text) {
  return text.size() >= 6 && text.size() <= 26 && std::all_of(text.begin(), text.end(), [](char c) {
           return kAlphabet.find(c) != std::string_view::npos;
         });
}

}  // namespace dbbackup::util
