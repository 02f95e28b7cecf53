#include "repository/chunker.hpp"

#include <algorithm>
#include <bit>

#include "crypto/cipher.hpp"

namespace dbbackup::repository {

namespace {
// One byte leaves the 64-bit hash after 64 steps, so what lies further back cannot matter.
constexpr std::size_t kWindow = 64;
}  // namespace

GearTable::GearTable(const crypto::Secret& seed) {
  for (std::uint64_t i = 0; i < values_.size(); ++i) {
    util::Bytes number;
    util::append_u64(number, i);
    values_[i] = util::read_u64(crypto::keyed_hash(seed, number));
  }
}

Cutter::Cutter(const GearTable& gear, const CutSizes& sizes)
    : gear_(gear),
      sizes_(sizes),
      early_bits_(static_cast<unsigned>(std::countr_zero(sizes.average)) + 2),
      late_bits_(static_cast<unsigned>(std::countr_zero(sizes.average)) - 2) {}

void Cutter::restart() {
  size_ = 0;
  hash_ = 0;
  found_ = false;
}

// Takes bytes until the chunk has `limit` bytes, the piece ends or, with `bits`, the hash matches.
std::size_t Cutter::scan_until(util::ByteView piece, std::size_t limit, unsigned bits) {
  if (size_ >= limit) return 0;
  const std::size_t count = std::min(piece.size(), limit - size_);
  const unsigned shift = bits == 0 ? 0 : 64 - bits;
  std::uint64_t hash = hash_;
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash << 1U) + gear_[piece[i]];
    if (bits != 0 && (hash >> shift) == 0) {
      found_ = true;
      size_ += i + 1;
      return i + 1;
    }
  }
  hash_ = hash;
  size_ += count;
  return count;
}

std::size_t Cutter::scan(util::ByteView piece) {
  if (found_) return 0;
  // Below the minimum nothing is cut, and only the last bytes before it can reach the hash.
  std::size_t used = 0;
  const std::size_t cold = sizes_.least - kWindow;
  if (size_ < cold) {
    used = std::min(piece.size(), cold - size_);
    size_ += used;
  }
  struct Zone {
    std::size_t limit;
    unsigned bits;
  };
  for (const Zone& zone : {Zone{sizes_.least - 1, 0}, Zone{sizes_.average - 1, early_bits_},
                           Zone{sizes_.most, late_bits_}}) {
    used += scan_until(piece.subspan(used), zone.limit, zone.bits);
    if (found_) return used;
  }
  found_ = size_ >= sizes_.most;
  return used;
}

}  // namespace dbbackup::repository
