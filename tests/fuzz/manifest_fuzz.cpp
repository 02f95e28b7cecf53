// Any bytes as the plaintext structures of a repository: decoded or refused, never a crash, and
// what was decoded encodes again.
#include <cstddef>
#include <cstdint>

#include "repository/compression.hpp"
#include "repository/format.hpp"
#include "repository/keys.hpp"
#include "repository/manifest.hpp"
#include "util/error.hpp"

namespace {
template <typename Action>
void refused_or_fine(const Action& action) {
  try {
    action();
  } catch (const dbbackup::util::Error&) {
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dbbackup;
  using namespace dbbackup::repository;
  const util::ByteView bytes(data, size);
  refused_or_fine([&] { decode_segment(bytes); });
  refused_or_fine([&] { decode_chunk_list(bytes); });
  refused_or_fine([&] { decode_descriptor(bytes); });
  refused_or_fine([&] { parse_slot(bytes); });
  refused_or_fine([&] { decompress(bytes, 1U << 20U); });
  refused_or_fine([&] {
    const util::json::Value value = util::json::parse(util::as_text(bytes));
    if (!value.is_object()) return;
    const Manifest manifest = decode_manifest(value.get_object());
    if (decode_manifest(encode_manifest(manifest)).id != manifest.id) __builtin_trap();
  });
  return 0;
}
