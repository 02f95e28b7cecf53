// The bytes of a repository's objects, as FORMAT.md sections 1 to 6 lay them out: encode and
// decode, nothing else.
//
// Threads: pure functions and values.
// Errors: decoders throw verification_failed with the bare problem ("truncated", "does not
// authenticate"); callers add the object's key. Nothing here trusts what it reads.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/cipher.hpp"
#include "util/bytes.hpp"
#include "util/json.hpp"

namespace dbbackup::repository {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kMaxChunkBytes = 4U << 20U;

using ChunkId = crypto::Digest;
using PackId = std::array<std::uint8_t, 16>;

// Ids of chunks are keyed hashes: their first bytes are as good a hash as any.
struct ChunkIdHash {
  std::size_t operator()(const ChunkId& id) const {
    std::size_t value = 0;
    std::memcpy(&value, id.data(), sizeof value);
    return value;
  }
};

enum class ChunkKind : std::uint8_t { raw = 0, zstd = 1 };  // 2 is reserved for deltas

// One chunk as it lies in a pack.
struct PackEntry {
  ChunkId id{};
  std::uint8_t kind = 0;
  std::uint32_t offset = 0;
  std::uint32_t stored = 0;  // bytes of the record
  std::uint32_t plain = 0;   // bytes of the plaintext
  bool operator==(const PackEntry&) const = default;
};

struct PackContents {
  PackId id{};
  std::uint64_t size = 0;  // bytes of the whole object
  std::vector<PackEntry> entries;
};

// Keys of objects.
inline constexpr std::string_view kConfigKey = "config";
inline constexpr std::string_view kOwnerKey = "owner";
inline constexpr std::string_view kSlotPrefix = "keys/";
inline constexpr std::string_view kPackPrefix = "packs/";
inline constexpr std::string_view kIndexPrefix = "index/";
inline constexpr std::string_view kManifestPrefix = "manifests/";
inline constexpr std::string_view kCondemnedPrefix = "condemned/";
std::string pack_key(const PackId& id);
// Empty for a key that names no pack.
std::optional<PackId> pack_id_from_key(std::string_view key);
// "index/01k..." -> "01k..."
std::string name_of(std::string_view key);

// Checked JSON: a line of JSON and a line with its sum.
util::Bytes encode_checked_json(const util::json::Object& object);
util::json::Object decode_checked_json(util::ByteView content);

// Sealed objects. `magic` has 8 characters.
inline constexpr std::string_view kIndexMagic = "dbkINDEX";
inline constexpr std::string_view kManifestMagic = "dbkMANIF";
inline constexpr std::string_view kCondemnedMagic = "dbkCONDM";
util::Bytes seal_object(const crypto::Secret& metadata_key, std::string_view magic,
                        std::string_view repository_id, std::string_view object_key,
                        util::ByteView content);
util::Bytes open_object(const crypto::Secret& metadata_key, std::string_view magic,
                        std::string_view repository_id, std::string_view object_key,
                        util::ByteView object);

// Packs.
inline constexpr std::size_t kPackHeaderBytes = 32;
inline constexpr std::size_t kPackFooterBytes = 12;
inline constexpr std::size_t kPackEntryBytes = 48;
util::Bytes pack_header(const PackId& id);
// What follows the records: sealed trailer and footer.
util::Bytes pack_ending(const crypto::Secret& metadata_key, std::string_view repository_id,
                        const PackId& id, const std::vector<PackEntry>& entries);
// `read(offset, length)` gives a part of the object; three small reads are made.
using ReadPart = std::function<util::Bytes(std::uint64_t offset, std::uint64_t length)>;
PackContents read_pack_contents(const crypto::Secret& metadata_key, std::string_view repository_id,
                                const PackId& id, std::uint64_t size, const ReadPart& read);

// Index segments.
util::Bytes encode_segment(const std::vector<PackContents>& packs);
std::vector<PackContents> decode_segment(util::ByteView content);

// Chunk lists.
struct ChunkRef {
  ChunkId id{};
  std::uint32_t plain = 0;  // bytes
};
struct ChunkList {
  unsigned level = 0;
  std::vector<ChunkRef> entries;
};
util::Bytes encode_chunk_list(unsigned level, std::span<const ChunkRef> entries);
ChunkList decode_chunk_list(util::ByteView content);
// How many of the entries from the front the next list takes.
std::size_t chunk_list_cut(std::span<const ChunkRef> entries);

}  // namespace dbbackup::repository
