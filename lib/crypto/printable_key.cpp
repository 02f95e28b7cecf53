// The printable form of a key: "dbk1-" and 55 symbols of Crockford's base 32 (Source:
// crockford.com/base32.html) in eleven groups of five. The symbols are the 256 bits of the key and
// the first 19 bits of a hash over it, so that a mistyped key passes once in half a million times;
// the repository's key slots then refuse it anyway.
#include <cctype>

#include "crypto/cipher.hpp"
#include "util/text.hpp"

namespace dbbackup::crypto {

namespace {

constexpr std::string_view kPrefix = "dbk1";
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kSymbolBits = 5;
constexpr std::size_t kSymbols = 55;
constexpr std::size_t kGroup = 5;

std::size_t bit_at(util::ByteView bytes, std::size_t position) {
  return (bytes[position / 8] >> (7 - position % 8)) & 1U;
}

// Prefix and symbols without separators.
std::string compact(const Secret& key) {
  const Digest checksum = keyed_hash(key, util::as_bytes("dbk1 printable key"));
  const std::size_t key_bits = key.size() * 8;
  std::string text(kPrefix);
  text.reserve(kPrefix.size() + kSymbols);
  for (std::size_t symbol = 0; symbol < kSymbols; ++symbol) {
    std::size_t value = 0;
    for (std::size_t bit = symbol * kSymbolBits; bit < (symbol + 1) * kSymbolBits; ++bit) {
      value = value << 1U |
              (bit < key_bits ? bit_at(key.reveal(), bit) : bit_at(checksum, bit - key_bits));
    }
    text += kAlphabet[value];
  }
  return text;
}

// Lower case, without blanks and dashes, and with the letters people take for digits made digits.
std::string normalise(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '-' || std::isspace(byte) != 0) continue;
    const char lower = static_cast<char>(std::tolower(byte));
    result += lower == 'o' ? '0' : lower == 'i' || lower == 'l' ? '1' : lower;
  }
  return result;
}

}  // namespace

std::string to_printable_key(const Secret& key) {
  std::string plain = compact(key);
  std::string text(kPrefix);
  text.reserve(kPrefix.size() + kSymbols + kSymbols / kGroup);
  for (std::size_t at = kPrefix.size(); at < plain.size(); at += kGroup) {
    text += '-';
    text.append(plain, at, kGroup);
  }
  wipe(plain.data(), plain.size());
  return text;
}

std::optional<Secret> parse_printable_key(std::string_view text) {
  std::string typed = normalise(text);
  if (typed.size() != kPrefix.size() + kSymbols || !typed.starts_with(kPrefix)) return std::nullopt;
  std::array<std::uint8_t, kKeyBytes> bytes{};
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const std::size_t value = kAlphabet.find(typed[kPrefix.size() + bit / kSymbolBits]);
    if (value == std::string_view::npos) return std::nullopt;
    const std::size_t set = (value >> (kSymbolBits - 1 - bit % kSymbolBits)) & 1U;
    bytes[bit / 8] |= static_cast<std::uint8_t>(set << (7 - bit % 8));
  }
  Secret key(bytes);
  wipe(bytes.data(), bytes.size());
  // Writing the key again and comparing checks the checksum and the symbols that hold no bit of the
  // key in one go.
  std::string written = compact(key);
  const bool same = written == typed;
  wipe(written.data(), written.size());
  wipe(typed.data(), typed.size());
  if (!same) return std::nullopt;
  return key;
}

}  // namespace dbbackup::crypto
