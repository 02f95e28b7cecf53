#include "catalog/secret_box.hpp"

#include "crypto/cipher.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

namespace {
constexpr std::uint64_t kSubkeyNumber = 1;
constexpr std::string_view kSubkeyContext = "dbbctlog";

// Unambiguous: the name of a table never holds a slash.
std::string place(std::string_view table, std::string_view row) {
  return util::cat(table, "/", row);
}
}  // namespace

SecretBox::SecretBox(const crypto::Secret& daemon_key)
    : key_(crypto::derive(daemon_key, kSubkeyNumber, kSubkeyContext)) {}

util::Bytes SecretBox::seal(std::string_view table, std::string_view row,
                            const crypto::Secret& plain) const {
  return crypto::seal(key_, plain.reveal(), util::as_bytes(place(table, row)));
}

std::optional<crypto::Secret> SecretBox::open(std::string_view table, std::string_view row,
                                              util::ByteView sealed) const {
  std::optional<util::Bytes> plain = crypto::open(key_, sealed, util::as_bytes(place(table, row)));
  if (!plain) return std::nullopt;
  crypto::Secret secret(*plain);
  crypto::wipe(plain->data(), plain->size());
  return secret;
}

}  // namespace dbbackup::catalog
