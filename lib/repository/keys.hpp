// The master key, what is derived from it, and the slots it is kept in (FORMAT.md section 3).
//
// Threads: values; the functions are as safe as the store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/cipher.hpp"
#include "repository/format.hpp"
#include "repository/repository.hpp"

namespace dbbackup::repository {

// Who a repository is, and every key that works in it.
struct Keys {
  std::string repository_id;
  crypto::Secret master;
  crypto::Secret chunk_id;
  crypto::Secret chunk_cipher;
  crypto::Secret metadata;
  crypto::Secret gear;
  crypto::Secret root;
  crypto::Secret archive;
  crypto::Secret tag;  // of the local index only, not of the format

  Keys(std::string id, const crypto::Secret& master_key);
};

struct Descriptor {
  std::string id;
  util::TimePoint created;
  std::string source;  // archives: the repository it was made from
};
util::Bytes encode_descriptor(const Descriptor& descriptor);
// Errors: verification_failed; unsupported for a newer version.
Descriptor decode_descriptor(util::ByteView content);

// As in slot_kind_name(), and "repository".
inline constexpr std::string_view kRepositorySlot = "repository";

// The object of a slot that gives `master` to whoever has `secret`.
util::Bytes make_slot(std::string_view repository_id, std::string_view slot_id,
                      std::string_view kind, util::TimePoint created, const crypto::Secret& secret,
                      const crypto::Secret& master);

struct Slot {
  std::string kind;
  util::TimePoint created;
  util::json::Object object;
};
// Errors: verification_failed.
Slot parse_slot(util::ByteView content);
// Empty when the secret does not open it.
std::optional<crypto::Secret> open_slot(std::string_view repository_id, std::string_view slot_id,
                                        const Slot& slot, const crypto::Secret& secret);

// Tries every slot below `prefix` with whatever `unlock` has for its kind.
// Errors: not_authorised, saying what was tried; verification_failed when nothing opened and a slot
// is damaged.
crypto::Secret unlock_master(storage::ObjectStore& store, std::string_view prefix,
                             std::string_view repository_id, const Unlock& unlock);

}  // namespace dbbackup::repository
