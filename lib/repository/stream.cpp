#include "repository/stream.hpp"

#include <xxhash.h>

#include <array>
#include <new>
#include <utility>

#include "repository/row_hasher.hpp"

namespace dbbackup::repository {

namespace {

constexpr std::array<std::pair<StreamKind, std::string_view>, 4> kNames{{
    {StreamKind::lines, "lines"},
    {StreamKind::bson, "bson"},
    {StreamKind::pages, "pages"},
    {StreamKind::bytes, "bytes"},
}};

std::string hex_of(std::uint64_t value) {
  util::Bytes bytes(8);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  }
  return util::to_hex(bytes);
}

std::uint64_t big_endian(util::ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = (value << 8U) | byte;
  return value;
}

}  // namespace

std::string_view stream_kind_name(StreamKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "unknown";
}

std::optional<StreamKind> stream_kind_from_name(std::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

void RowHash::add_digest(std::uint64_t high, std::uint64_t low) {
  low_ += low;
  high_ += high + (low_ < low ? 1 : 0);
  ++rows_;
}

void RowHash::add(util::ByteView row) {
  const XXH128_hash_t digest = XXH3_128bits(row.data(), row.size());
  add_digest(digest.high64, digest.low64);
}

void RowHash::add(const RowHash& other) {
  const std::uint64_t rows = rows_ + other.rows_;
  add_digest(other.high_, other.low_);
  rows_ = rows;
}

std::string RowHash::hex() const { return hex_of(high_) + hex_of(low_); }

std::optional<RowHash> RowHash::from_hex(std::string_view hex, std::uint64_t rows) {
  const std::optional<util::Bytes> bytes = util::from_hex(hex);
  if (!bytes || bytes->size() != 16) return std::nullopt;
  RowHash hash;
  hash.high_ = big_endian(util::ByteView(*bytes).first(8));
  hash.low_ = big_endian(util::ByteView(*bytes).last(8));
  hash.rows_ = rows;
  return hash;
}

struct RowHasher::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> xxh;
};

RowHasher::RowHasher() : state_(std::make_unique<State>()) {
  state_->xxh.reset(XXH3_createState());
  if (!state_->xxh) throw std::bad_alloc();
  XXH3_128bits_reset(state_->xxh.get());
}

RowHasher::~RowHasher() = default;

void RowHasher::update(util::ByteView piece) {
  XXH3_128bits_update(state_->xxh.get(), piece.data(), piece.size());
}

void RowHasher::finish(RowHash& hash) {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->xxh.get());
  hash.add_digest(digest.high64, digest.low64);
  XXH3_128bits_reset(state_->xxh.get());
}

}  // namespace dbbackup::repository
