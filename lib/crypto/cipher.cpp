#include "crypto/cipher.hpp"

#include <sodium.h>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::crypto {

namespace {

constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

static_assert(kSealOverhead == kNonceBytes + kTagBytes);
static_assert(kKeyBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
static_assert(kKeyBytes == crypto_kdf_KEYBYTES);
static_assert(kKeyBytes >= crypto_generichash_KEYBYTES_MIN &&
              kKeyBytes <= crypto_generichash_KEYBYTES_MAX);

// libsodium picks its implementations and opens the random source once; everything after is
// lock-free.
void initialise() {
  static const int status = sodium_init();
  if (status < 0) {
    throw util::Error(util::ErrorCode::internal, "libsodium cannot be initialised");
  }
}

const std::uint8_t* key_of(const Secret& key) {
  if (key.size() != kKeyBytes) {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("a key has ", kKeyBytes, " bytes, not ", key.size()));
  }
  return key.reveal().data();
}

// Where a key is made before it moves into a Secret.
struct KeyBuffer {
  std::array<std::uint8_t, kKeyBytes> bytes;
  KeyBuffer() = default;
  KeyBuffer(const KeyBuffer&) = delete;
  KeyBuffer& operator=(const KeyBuffer&) = delete;
  ~KeyBuffer() { wipe(bytes.data(), bytes.size()); }
};

}  // namespace

void random_bytes(std::uint8_t* out, std::size_t size) {
  initialise();
  if (size > 0) randombytes_buf(out, size);  // declared to take no null pointer
}

Secret random_key() {
  KeyBuffer key;
  random_bytes(key.bytes.data(), key.bytes.size());
  return Secret(key.bytes);
}

void seal(const Secret& key, util::ByteView plain, util::ByteView associated, util::Bytes& out) {
  initialise();
  const std::uint8_t* key_bytes = key_of(key);
  // The cipher writes straight into its final place. Growing the vector zeroes that place first,
  // which costs about a hundredth of the sealing itself and nothing where the caller has reserved.
  const std::size_t start = out.size();
  out.resize(start + plain.size() + kSealOverhead);
  std::uint8_t* nonce = out.data() + start;
  randombytes_buf(nonce, kNonceBytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + kNonceBytes, nullptr, plain.data(),
                                             plain.size(), associated.data(), associated.size(),
                                             nullptr, nonce, key_bytes);
}

util::Bytes seal(const Secret& key, util::ByteView plain, util::ByteView associated) {
  util::Bytes sealed;
  seal(key, plain, associated, sealed);
  return sealed;
}

bool open_into(const Secret& key, util::ByteView sealed, util::ByteView associated,
               util::Bytes& plain) {
  initialise();
  const std::uint8_t* key_bytes = key_of(key);
  if (sealed.size() < kSealOverhead) {
    plain.clear();
    return false;
  }
  plain.resize(sealed.size() - kSealOverhead);
  const util::ByteView cipher = sealed.subspan(kNonceBytes);
  const int status = crypto_aead_xchacha20poly1305_ietf_decrypt(
      plain.data(), nullptr, nullptr, cipher.data(), cipher.size(), associated.data(),
      associated.size(), sealed.data(), key_bytes);
  if (status != 0) plain.clear();
  return status == 0;
}

std::optional<util::Bytes> open(const Secret& key, util::ByteView sealed,
                                util::ByteView associated) {
  util::Bytes plain;
  if (!open_into(key, sealed, associated, plain)) return std::nullopt;
  return plain;
}

Digest keyed_hash(const Secret& key, util::ByteView content) {
  initialise();
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), content.data(), content.size(), key_of(key),
                     kKeyBytes);
  return digest;
}

Tag secret_tag(const Secret& key, util::ByteView content) {
  initialise();
  Tag tag;
  crypto_onetimeauth(tag.data(), content.data(), content.size(), key_of(key));
  return tag;
}

Digest plain_hash(util::ByteView content) {
  initialise();
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), content.data(), content.size(), nullptr, 0);
  return digest;
}

Secret derive(const Secret& master, std::uint64_t number, std::string_view context) {
  initialise();
  if (context.size() != crypto_kdf_CONTEXTBYTES) {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("a key context has 8 characters: '", context, "'"));
  }
  KeyBuffer subkey;
  crypto_kdf_derive_from_key(subkey.bytes.data(), subkey.bytes.size(), number, context.data(),
                             key_of(master));
  return Secret(subkey.bytes);
}

Secret stretch(const Secret& passphrase, util::ByteView salt, const StretchCost& cost) {
  initialise();
  if (salt.size() != crypto_pwhash_SALTBYTES) {
    throw util::Error(util::ErrorCode::internal, util::cat("a salt has ", crypto_pwhash_SALTBYTES,
                                                           " bytes, not ", salt.size()));
  }
  // libsodium takes these bounds as a programming error or answers with a bare EINVAL; a cost may
  // come from a file.
  if (cost.operations < crypto_pwhash_OPSLIMIT_MIN ||
      cost.operations > crypto_pwhash_OPSLIMIT_MAX ||
      cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN ||
      cost.memory_bytes > crypto_pwhash_MEMLIMIT_MAX) {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("a passphrase cannot be stretched with ", cost.operations,
                                " operations in ", cost.memory_bytes, " bytes"));
  }
  KeyBuffer key;
  // An empty view may point nowhere, which libsodium is declared not to take.
  const std::string_view text = passphrase.empty() ? "" : passphrase.reveal_text();
  if (crypto_pwhash(key.bytes.data(), key.bytes.size(), text.data(), text.size(), salt.data(),
                    cost.operations, cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("no memory to stretch a passphrase (",
                                util::format_size(cost.memory_bytes), " are needed)"));
  }
  return Secret(key.bytes);
}

}  // namespace dbbackup::crypto
