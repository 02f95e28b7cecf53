// Any bytes, handed over in any pieces: cuts depend on the bytes alone and keep the sizes they
// promise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "repository/chunker.hpp"

namespace {

using dbbackup::util::ByteView;

std::vector<std::size_t> cuts(const dbbackup::repository::GearTable& gear,
                              const dbbackup::repository::CutSizes& sizes, ByteView content,
                              std::size_t piece) {
  dbbackup::repository::Cutter cutter(gear, sizes);
  std::vector<std::size_t> found;
  std::size_t at = 0;
  while (at < content.size()) {
    at += cutter.scan(content.subspan(at, std::min(piece, content.size() - at)));
    if (!cutter.found()) continue;
    found.push_back(at);
    cutter.restart();
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dbbackup::repository;
  static const GearTable gear(dbbackup::crypto::Secret(dbbackup::util::Bytes(32, 1)));
  constexpr CutSizes kSmall{128, 512, 2048};
  const ByteView content(data, size);
  const std::vector<std::size_t> whole = cuts(gear, kSmall, content, size + 1);
  if (whole != cuts(gear, kSmall, content, 1) || whole != cuts(gear, kSmall, content, 97)) {
    __builtin_trap();
  }
  std::size_t last = 0;
  for (const std::size_t cut : whole) {
    if (cut - last < kSmall.least || cut - last > kSmall.most) __builtin_trap();
    last = cut;
  }
  return 0;
}
