#include "crypto/web.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>

#include "util/error.hpp"

namespace dbbackup::crypto {

using util::Bytes;
using util::ByteView;
using util::Error;
using util::ErrorCode;

namespace {

template <std::size_t kSize>
std::array<std::uint8_t, kSize> digest(const EVP_MD* kind, ByteView content) {
  std::array<std::uint8_t, kSize> result{};
  unsigned size = 0;
  if (EVP_Digest(content.data(), content.size(), result.data(), &size, kind, nullptr) != 1 ||
      size != kSize) {
    throw Error(ErrorCode::internal, "OpenSSL cannot hash");
  }
  return result;
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// A key that asks for a passphrase is not one we can use; without this OpenSSL asks the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Sha256 sha256(ByteView content) { return digest<32>(EVP_sha256(), content); }

std::array<std::uint8_t, 16> md5(ByteView content) { return digest<16>(EVP_md5(), content); }

Sha256 hmac_sha256(ByteView key, std::string_view text) {
  Sha256 result{};
  unsigned size = 0;
  const ByteView content = util::as_bytes(text);
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), content.data(), content.size(),
           result.data(), &size) == nullptr) {
    throw Error(ErrorCode::internal, "OpenSSL cannot make an HMAC");
  }
  return result;
}

Bytes sign_rs256(const Secret& private_key, std::string_view text) {
  const ByteView pem = private_key.reveal();
  const std::unique_ptr<BIO, BioFree> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<EVP_PKEY, KeyFree> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) {
    throw Error(ErrorCode::config_invalid, "the private key is not an RSA key in PEM form");
  }
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(EVP_MD_CTX_new());
  const ByteView content = util::as_bytes(text);
  std::size_t size = 0;
  Bytes signature;
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, content.data(), content.size()) != 1) {
    throw Error(ErrorCode::internal, "OpenSSL cannot sign");
  }
  signature.resize(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, content.data(), content.size()) != 1) {
    throw Error(ErrorCode::internal, "OpenSSL cannot sign");
  }
  signature.resize(size);
  return signature;
}

std::string to_base64(ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string to_base64url(ByteView bytes) {
  std::string text = to_base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  Bytes bytes(text.size() / 4 * 3);
  const int size =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const auto padding =
      std::count(text.end() - std::min<std::ptrdiff_t>(2, std::ssize(text)), text.end(), '=');
  bytes.resize(static_cast<std::size_t>(size) - static_cast<std::size_t>(padding));
  return bytes;
}

}  // namespace dbbackup::crypto
