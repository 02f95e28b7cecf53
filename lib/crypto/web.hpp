// The hashes and signatures that cloud services ask for: SHA-256 and MD5 of content, HMAC-SHA256
// (AWS Signature Version 4, Azure Shared Key), RS256 (Google service accounts). They prove things
// to a server or find accidents on the way to it; what protects the data is cipher.hpp.
//
// OpenSSL's, because its SHA-256 uses the processor's instructions for it (libsodium's does not,
// and every byte that goes to S3 is hashed), and because libsodium has no RSA.
//
// Threads: pure functions, safe from any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/secret.hpp"
#include "util/bytes.hpp"

namespace dbbackup::crypto {

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(util::ByteView content);
std::array<std::uint8_t, 16> md5(util::ByteView content);
Sha256 hmac_sha256(util::ByteView key, std::string_view text);

// RSASSA-PKCS1-v1_5 with SHA-256 (Source: RFC 7518 section 3.3).
// Errors: config_invalid, when `private_key` is not an RSA private key in PEM.
util::Bytes sign_rs256(const Secret& private_key, std::string_view text);

// Source: RFC 4648 sections 4 (with padding) and 5 (URL-safe, without).
std::string to_base64(util::ByteView bytes);
std::string to_base64url(util::ByteView bytes);
// Empty for anything that is not base64 with padding.
std::optional<util::Bytes> from_base64(std::string_view text);

}  // namespace dbbackup::crypto
