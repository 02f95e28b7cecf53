// The few constructions the product uses, all of libsodium, none of our own:
//   seal/open      XChaCha20-Poly1305-IETF with a random 24-byte nonce in front
//   keyed_hash     BLAKE2b-256 with a 32-byte key
//   derive         crypto_kdf (BLAKE2b) subkeys by number and 8-character context
//   stretch        Argon2id, for passphrases only
//
// Threads: pure functions, safe from any thread after initialise(), which every entry point calls.
// Errors: Opening returns empty rather than throwing: only the caller knows the name of what is
// damaged.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "crypto/secret.hpp"
#include "util/bytes.hpp"

namespace dbbackup::crypto {

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kSealOverhead = 24 + 16;  // nonce + tag
using Digest = std::array<std::uint8_t, 32>;

void random_bytes(std::uint8_t* out, std::size_t size);
Secret random_key();  // 32 bytes

// Appends nonce, ciphertext and tag of `plain` to `out`. `associated` is authenticated, not stored.
void seal(const Secret& key, util::ByteView plain, util::ByteView associated, util::Bytes& out);
util::Bytes seal(const Secret& key, util::ByteView plain, util::ByteView associated);
// Empty when `sealed` was not made with this key and associated data, or was changed by a single
// bit.
std::optional<util::Bytes> open(const Secret& key, util::ByteView sealed,
                                util::ByteView associated);
// As open(), into a caller's buffer that is resized; false instead of empty. For the hot path.
bool open_into(const Secret& key, util::ByteView sealed, util::ByteView associated,
               util::Bytes& plain);

Digest keyed_hash(const Secret& key, util::ByteView content);
Digest plain_hash(util::ByteView content);  // unkeyed BLAKE2b-256

// A fast fingerprint for finding equal content again: Poly1305 as a keyed universal hash. Two
// different contents of up to 4 MiB share a tag with a probability below 2^-85 as long as nobody
// who chooses contents knows the key or has seen a tag: tags stay on this machine, beside the key.
using Tag = std::array<std::uint8_t, 16>;
Tag secret_tag(const Secret& key, util::ByteView content);

// Shape: context has exactly 8 characters.
Secret derive(const Secret& master, std::uint64_t number, std::string_view context);

struct StretchCost {
  std::uint64_t operations = 3;
  std::uint64_t memory_bytes = 64ULL << 20U;
};
// Errors: internal, when the memory cannot be had. Shape: salt has 16 bytes.
Secret stretch(const Secret& passphrase, util::ByteView salt, const StretchCost& cost);

// A key as text that a person can print and type: "dbk1-" and groups of 5 base-32 characters with a
// checksum, so that a typing error is found before anything is tried with it. parse_printable()
// ignores case, blanks and dashes.
std::string to_printable_key(const Secret& key);
std::optional<Secret> parse_printable_key(std::string_view text);

}  // namespace dbbackup::crypto
