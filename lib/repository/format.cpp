#include "repository/format.hpp"

#include <algorithm>

#include "repository/compression.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::cat;

namespace {

constexpr std::string_view kPackMagic = "dbkPACK1";
constexpr std::string_view kPackEndMagic = "dbkPEND1";
constexpr std::string_view kListMagic = "CLST";
constexpr std::size_t kObjectHeaderBytes = 12;
constexpr std::size_t kListHeaderBytes = 8;
constexpr std::size_t kListEntryBytes = 36;
constexpr std::size_t kListLeast = 256;
constexpr std::size_t kListMost = 8192;
// A segment of 128 packs of 32 MiB in chunks of 1 KiB stays below this; nothing sealed by us is
// larger.
constexpr std::size_t kMaxObjectContent = std::size_t{1} << 30U;
// A pack is filled up to 32 MiB and one chunk; Settings may ask for larger ones, 32-bit offsets set
// the limit.
constexpr std::size_t kMaxTrailerBytes = 256U << 20U;

[[noreturn]] void damaged(std::string problem) {
  throw util::Error(util::ErrorCode::verification_failed, std::move(problem));
}

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void append(Bytes& out, std::string_view text) { append(out, util::as_bytes(text)); }

void append_entry(Bytes& out, const PackEntry& entry) {
  append(out, entry.id);
  util::append_u32(out, entry.kind);  // the kind and three zero bytes
  util::append_u32(out, entry.offset);
  util::append_u32(out, entry.stored);
  util::append_u32(out, entry.plain);
}

// Requires: `bytes` holds an entry. Refuses lengths that no writer makes, so that readers may
// allocate by them.
PackEntry read_entry(ByteView bytes) {
  PackEntry entry;
  std::copy_n(bytes.begin(), entry.id.size(), entry.id.begin());
  const std::uint32_t kind = util::read_u32(bytes.subspan(32));
  entry.offset = util::read_u32(bytes.subspan(36));
  entry.stored = util::read_u32(bytes.subspan(40));
  entry.plain = util::read_u32(bytes.subspan(44));
  if (kind > 0xff) damaged("malformed entry");
  entry.kind = static_cast<std::uint8_t>(kind);
  const bool sane = entry.plain <= kMaxChunkBytes && entry.stored > crypto::kSealOverhead &&
                    entry.stored <= kMaxChunkBytes + 1 + crypto::kSealOverhead;
  if (!sane) damaged("malformed entry");
  return entry;
}

// The records fill the pack between header and trailer without a gap; returns where they end.
std::uint64_t records_end(const std::vector<PackEntry>& entries) {
  std::uint64_t at = kPackHeaderBytes;
  for (const PackEntry& entry : entries) {
    if (entry.offset != at) damaged("its entries do not fit together");
    at += entry.stored;
  }
  return at;
}

std::uint64_t pack_size(std::uint64_t end_of_records, std::size_t entries) {
  return end_of_records + crypto::kSealOverhead + entries * kPackEntryBytes + kPackFooterBytes;
}

Bytes trailer_associated(std::string_view repository_id, const PackId& id) {
  Bytes associated = util::to_bytes(repository_id);
  append(associated, pack_header(id));
  return associated;
}

}  // namespace

std::string pack_key(const PackId& id) {
  const std::string hex = util::to_hex(id);
  return cat(kPackPrefix, hex.substr(0, 2), "/", hex);
}

std::optional<PackId> pack_id_from_key(std::string_view key) {
  const std::string name = name_of(key);
  const std::optional<Bytes> bytes = util::from_hex(name);
  PackId id{};
  if (!bytes || bytes->size() != id.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), id.begin());
  if (pack_key(id) != key) return std::nullopt;
  return id;
}

std::string name_of(std::string_view key) { return std::string(key.substr(key.rfind('/') + 1)); }

Bytes encode_checked_json(const util::json::Object& object) {
  const std::string line = util::json::write(object);
  return util::to_bytes(
      cat(line, "\n", util::to_hex(crypto::plain_hash(util::as_bytes(line))), "\n"));
}

util::json::Object decode_checked_json(ByteView content) {
  const std::string_view text = util::as_text(content);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) damaged("truncated");
  const std::string_view line = text.substr(0, end);
  const std::string sum = util::to_hex(crypto::plain_hash(util::as_bytes(line)));
  if (text.substr(end + 1) != cat(sum, "\n")) damaged("its checksum does not match");
  try {
    util::json::Value value = util::json::parse(line);
    if (!value.is_object()) damaged("not a JSON object");
    return std::move(value.get_object());
  } catch (const util::Error& error) {
    damaged(error.message());
  }
}

namespace {
Bytes object_header(std::string_view magic) {
  Bytes header = util::to_bytes(magic);
  util::append_u32(header, kFormatVersion);
  return header;
}
Bytes object_associated(std::string_view magic, std::string_view repository_id,
                        std::string_view object_key) {
  Bytes associated = object_header(magic);
  append(associated, repository_id);
  append(associated, object_key);
  return associated;
}
}  // namespace

Bytes seal_object(const crypto::Secret& metadata_key, std::string_view magic,
                  std::string_view repository_id, std::string_view object_key, ByteView content) {
  Bytes object = object_header(magic);
  crypto::seal(metadata_key, compress(content, 3),
               object_associated(magic, repository_id, object_key), object);
  return object;
}

Bytes open_object(const crypto::Secret& metadata_key, std::string_view magic,
                  std::string_view repository_id, std::string_view object_key, ByteView object) {
  if (object.size() < kObjectHeaderBytes + crypto::kSealOverhead) damaged("truncated");
  if (util::as_text(object.first(magic.size())) != magic) damaged("not an object of this kind");
  const std::uint32_t version = util::read_u32(object.subspan(magic.size()));
  if (version != kFormatVersion) damaged(cat("unknown version ", version));
  const std::optional<Bytes> compressed =
      crypto::open(metadata_key, object.subspan(kObjectHeaderBytes),
                   object_associated(magic, repository_id, object_key));
  if (!compressed) damaged("does not authenticate");
  return decompress(*compressed, kMaxObjectContent);
}

Bytes pack_header(const PackId& id) {
  Bytes header = util::to_bytes(kPackMagic);
  util::append_u32(header, kFormatVersion);
  append(header, id);
  util::append_u32(header, 0);
  return header;
}

Bytes pack_ending(const crypto::Secret& metadata_key, std::string_view repository_id,
                  const PackId& id, const std::vector<PackEntry>& entries) {
  Bytes plain;
  plain.reserve(entries.size() * kPackEntryBytes);
  for (const PackEntry& entry : entries) append_entry(plain, entry);
  Bytes ending;
  crypto::seal(metadata_key, plain, trailer_associated(repository_id, id), ending);
  util::append_u32(ending, static_cast<std::uint32_t>(ending.size()));
  append(ending, kPackEndMagic);
  return ending;
}

PackContents read_pack_contents(const crypto::Secret& metadata_key, std::string_view repository_id,
                                const PackId& id, std::uint64_t size, const ReadPart& read) {
  if (size < kPackHeaderBytes + crypto::kSealOverhead + kPackFooterBytes) damaged("truncated");
  if (read(0, kPackHeaderBytes) != pack_header(id)) damaged("its header is not the pack's");
  const Bytes footer = read(size - kPackFooterBytes, kPackFooterBytes);
  if (util::as_text(ByteView(footer).subspan(4)) != kPackEndMagic) {
    damaged("truncated: it does not end as a pack does");
  }
  const std::uint64_t trailer_bytes = util::read_u32(footer);
  const bool fits = trailer_bytes >= crypto::kSealOverhead && trailer_bytes <= kMaxTrailerBytes &&
                    trailer_bytes + kPackHeaderBytes + kPackFooterBytes <= size;
  if (!fits) damaged("its trailer has an impossible length");
  const Bytes sealed = read(size - kPackFooterBytes - trailer_bytes, trailer_bytes);
  const std::optional<Bytes> plain =
      crypto::open(metadata_key, sealed, trailer_associated(repository_id, id));
  if (!plain) damaged("its trailer does not authenticate");
  if (plain->size() % kPackEntryBytes != 0) damaged("its trailer is malformed");
  PackContents contents{.id = id, .size = size, .entries = {}};
  contents.entries.reserve(plain->size() / kPackEntryBytes);
  for (std::size_t at = 0; at < plain->size(); at += kPackEntryBytes) {
    contents.entries.push_back(read_entry(ByteView(*plain).subspan(at)));
  }
  if (pack_size(records_end(contents.entries), contents.entries.size()) != size) {
    damaged("its size is not what its trailer says");
  }
  return contents;
}

Bytes encode_segment(const std::vector<PackContents>& packs) {
  Bytes content;
  util::append_u32(content, static_cast<std::uint32_t>(packs.size()));
  for (const PackContents& pack : packs) {
    append(content, pack.id);
    util::append_u64(content, pack.size);
    util::append_u32(content, static_cast<std::uint32_t>(pack.entries.size()));
    for (const PackEntry& entry : pack.entries) append_entry(content, entry);
  }
  return content;
}

std::vector<PackContents> decode_segment(ByteView content) {
  const auto take = [&content](std::size_t size) {
    if (content.size() < size) damaged("truncated");
    const ByteView front = content.first(size);
    content = content.subspan(size);
    return front;
  };
  std::vector<PackContents> packs;
  for (std::uint32_t left = util::read_u32(take(4)); left > 0; --left) {
    PackContents& pack = packs.emplace_back();
    const ByteView id = take(pack.id.size());
    std::copy(id.begin(), id.end(), pack.id.begin());
    pack.size = util::read_u64(take(8));
    for (std::uint32_t entries = util::read_u32(take(4)); entries > 0; --entries) {
      pack.entries.push_back(read_entry(take(kPackEntryBytes)));
    }
    if (pack_size(records_end(pack.entries), pack.entries.size()) != pack.size) {
      damaged("a pack's size is not what its entries say");
    }
  }
  if (!content.empty()) damaged("extra bytes at the end");
  return packs;
}

Bytes encode_chunk_list(unsigned level, std::span<const ChunkRef> entries) {
  Bytes content = util::to_bytes(kListMagic);
  util::append_u32(content, level);
  content.reserve(kListHeaderBytes + entries.size() * kListEntryBytes);
  for (const ChunkRef& entry : entries) {
    append(content, entry.id);
    util::append_u32(content, entry.plain);
  }
  return content;
}

ChunkList decode_chunk_list(ByteView content) {
  if (content.size() < kListHeaderBytes || (content.size() - kListHeaderBytes) % kListEntryBytes) {
    damaged("malformed chunk list");
  }
  if (util::as_text(content.first(kListMagic.size())) != kListMagic) damaged("not a chunk list");
  ChunkList list;
  list.level = util::read_u32(content.subspan(4));
  if (list.level > 0xff) damaged("malformed chunk list");
  list.entries.reserve(content.size() / kListEntryBytes);
  for (std::size_t at = kListHeaderBytes; at < content.size(); at += kListEntryBytes) {
    ChunkRef& entry = list.entries.emplace_back();
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(at), entry.id.size(),
                entry.id.begin());
    entry.plain = util::read_u32(content.subspan(at + 32));
    if (entry.plain > kMaxChunkBytes) damaged("malformed chunk list");
  }
  return list;
}

std::size_t chunk_list_cut(std::span<const ChunkRef> entries) {
  const std::size_t most = std::min(entries.size(), kListMost);
  for (std::size_t i = kListLeast; i < most; ++i) {
    if ((util::read_u16(entries[i - 1].id) & 0x3ffU) == 0) return i;
  }
  return most;
}

}  // namespace dbbackup::repository
