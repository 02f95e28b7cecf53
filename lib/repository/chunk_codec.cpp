#include "repository/chunk_codec.hpp"

#include "repository/compression.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::Error;
using util::ErrorCode;

namespace {

Bytes associated_data(const Keys& keys, const ChunkId& id, std::uint8_t kind, std::size_t plain) {
  Bytes associated = util::to_bytes(keys.repository_id);
  associated.insert(associated.end(), id.begin(), id.end());
  associated.push_back(kind);
  util::append_u32(associated, static_cast<std::uint32_t>(plain));
  return associated;
}

// Compression is worth the time of every later reader from 3 % on.
bool is_gain(std::size_t compressed, std::size_t plain) {
  return compressed < plain - plain * 3 / 100;
}

}  // namespace

ChunkId chunk_id(const Keys& keys, ByteView plain) {
  return crypto::keyed_hash(keys.chunk_id, plain);
}

ChunkKind make_record(const Keys& keys, const ChunkId& id, ByteView plain, int level,
                      Bytes& record) {
  thread_local Bytes room;
  const ByteView frame = compress_into(plain, level, room);
  const ChunkKind kind = is_gain(frame.size(), plain.size()) ? ChunkKind::zstd : ChunkKind::raw;
  const auto code = static_cast<std::uint8_t>(kind);
  record.assign(1, code);
  crypto::seal(keys.chunk_cipher, kind == ChunkKind::zstd ? frame : plain,
               associated_data(keys, id, code, plain.size()), record);
  return kind;
}

void open_record(const Keys& keys, const PackEntry& entry, ByteView record, Bytes& plain) {
  if (record.size() != entry.stored || record.empty() || record[0] != entry.kind) {
    throw Error(ErrorCode::verification_failed, "is not the record that the index promises");
  }
  if (entry.kind > static_cast<std::uint8_t>(ChunkKind::zstd)) {
    throw Error(ErrorCode::unsupported, util::cat("is of kind ", int{entry.kind}),
                "install a newer dbbackup");
  }
  const Bytes associated = associated_data(keys, entry.id, entry.kind, entry.plain);
  thread_local Bytes frame;
  const bool raw = entry.kind == static_cast<std::uint8_t>(ChunkKind::raw);
  Bytes& payload = raw ? plain : frame;
  if (!crypto::open_into(keys.chunk_cipher, record.subspan(1), associated, payload)) {
    throw Error(ErrorCode::verification_failed, "does not authenticate");
  }
  if (!raw) decompress_into(frame, kMaxChunkBytes, plain);
  if (plain.size() != entry.plain) {
    throw Error(ErrorCode::verification_failed, "has another length than the index promises");
  }
}

void verify_record(const Keys& keys, const PackEntry& entry, ByteView record, Bytes& plain) {
  open_record(keys, entry, record, plain);
  if (chunk_id(keys, plain) != entry.id) {
    throw Error(ErrorCode::verification_failed, "has other content than its id says");
  }
}

}  // namespace dbbackup::repository
