// Seals the secrets of the control database: passwords of databases and secret options of
// repositories.
//
// The key is a subkey of the daemon's key, and what is sealed is bound to its table and row, so
// that nobody who can write the file can move the password of one database to another.
//
// Threads: immutable, safe from any thread. Owns: the subkey.
#pragma once

#include <optional>
#include <string_view>

#include "crypto/secret.hpp"
#include "util/bytes.hpp"

namespace dbbackup::catalog {

class SecretBox {
 public:
  explicit SecretBox(const crypto::Secret& daemon_key);

  util::Bytes seal(std::string_view table, std::string_view row, const crypto::Secret& plain) const;
  // Empty when it was sealed with another key, for another row, or was changed since.
  std::optional<crypto::Secret> open(std::string_view table, std::string_view row,
                                     util::ByteView sealed) const;

 private:
  crypto::Secret key_;
};

}  // namespace dbbackup::catalog
