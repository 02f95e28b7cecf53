// Where a stream is cut: the keyed gear hash of FORMAT.md section 4.
//
// A Cutter only finds positions; who cuts (at once, or at the next row end) and who keeps the bytes
// is the caller's business.
//
// Threads: GearTable is immutable; a Cutter belongs to one thread at a time.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/secret.hpp"
#include "util/bytes.hpp"

namespace dbbackup::repository {

class GearTable {
 public:
  explicit GearTable(const crypto::Secret& seed);
  std::uint64_t operator[](std::uint8_t byte) const { return values_[byte]; }

 private:
  std::array<std::uint64_t, 256> values_{};
};

// Units: bytes; `average` is a power of two.
struct CutSizes {
  std::size_t least = 0;
  std::size_t average = 0;
  std::size_t most = 0;
};
inline constexpr CutSizes kRowCuts{16U << 10U, 64U << 10U, 256U << 10U};
inline constexpr CutSizes kByteCuts{256U << 10U, 1U << 20U, 4U << 20U};

class Cutter {
 public:
  // Requires: `gear` outlives the cutter.
  Cutter(const GearTable& gear, const CutSizes& sizes);

  // Goes on with the current chunk and returns how many bytes of `piece` belong to it up to a match
  // or the maximum; all of them when there was none. found() tells which.
  std::size_t scan(util::ByteView piece);
  bool found() const { return found_; }
  // A new chunk begins.
  void restart();

 private:
  std::size_t scan_until(util::ByteView piece, std::size_t limit, unsigned bits);

  const GearTable& gear_;
  const CutSizes sizes_;
  const unsigned early_bits_;
  const unsigned late_bits_;
  std::size_t size_ = 0;
  std::uint64_t hash_ = 0;
  bool found_ = false;
};

}  // namespace dbbackup::repository
