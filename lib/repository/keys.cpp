#include "repository/keys.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using crypto::Secret;
using util::cat;
using util::Error;
using util::ErrorCode;
namespace json = util::json;

namespace {

constexpr std::string_view kFormatName = "dbbackup-repository";
constexpr std::string_view kSubkeyContext = "dbkrepo1";
// A slot says how costly its passphrase is; a hostile one must not take all memory or days.
constexpr std::uint64_t kMaxStretchOperations = 64;
constexpr std::uint64_t kMaxStretchMemory = 4ULL << 30U;
constexpr std::size_t kSaltBytes = 16;

[[noreturn]] void malformed(std::string_view what) {
  throw Error(ErrorCode::verification_failed, cat("malformed: ", what));
}

util::TimePoint required_time(const json::Object& object, std::string_view key) {
  const std::optional<std::string> text = json::get_string(object, key);
  const std::optional<util::TimePoint> time = text ? util::parse_time(*text) : std::nullopt;
  if (!time) malformed(key);
  return *time;
}

util::Bytes slot_associated(std::string_view repository_id, std::string_view slot_id,
                            json::Object object) {
  // Rebuilt rather than erased: erase() of Boost.JSON moves the last member into the gap.
  json::Object rest;
  for (const auto& member : object) {
    if (member.key() != "sealed") rest[member.key()] = member.value();
  }
  return util::to_bytes(cat(repository_id, "\n", slot_id, "\n", json::write(rest)));
}

// The key that wraps the master key; empty when the slot asks for something we refuse.
std::optional<Secret> wrapping_key(const json::Object& slot, std::string_view kind,
                                   const Secret& secret) {
  if (kind == kRepositorySlot) return secret;
  if (kind == "daemon") return crypto::derive(secret, 1, "dbkslotd");
  if (kind == "recovery") return crypto::derive(secret, 1, "dbkslotr");
  const std::optional<std::int64_t> operations = json::get_int(slot, "operations");
  const std::optional<std::int64_t> memory = json::get_int(slot, "memory_bytes");
  const auto salt = util::from_hex(json::get_string(slot, "salt").value_or(""));
  if (!operations || !memory || !salt || salt->size() != kSaltBytes) return std::nullopt;
  if (*operations < 1 || *memory < 1) return std::nullopt;
  const crypto::StretchCost cost{static_cast<std::uint64_t>(*operations),
                                 static_cast<std::uint64_t>(*memory)};
  if (cost.operations > kMaxStretchOperations || cost.memory_bytes > kMaxStretchMemory) {
    return std::nullopt;
  }
  return crypto::stretch(secret, *salt, cost);
}

const Secret& secret_for(const Unlock& unlock, std::string_view kind) {
  static const Secret kNone;
  if (kind == "daemon") return unlock.daemon_key;
  if (kind == "passphrase") return unlock.passphrase;
  if (kind == "recovery") return unlock.recovery_key;
  return kNone;
}

std::string describe(const Unlock& unlock) {
  std::vector<std::string> tried;
  if (!unlock.daemon_key.empty()) tried.emplace_back("the daemon's key");
  if (!unlock.passphrase.empty()) tried.emplace_back("the passphrase");
  if (!unlock.recovery_key.empty()) tried.emplace_back("the recovery key");
  return tried.empty() ? "nothing was given to try" : "tried " + util::join(tried, ", ");
}

}  // namespace

std::string_view slot_kind_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::daemon:
      return "daemon";
    case SlotKind::passphrase:
      return "passphrase";
    case SlotKind::recovery:
      return "recovery";
  }
  return "unknown";
}

Keys::Keys(std::string id, const Secret& master_key)
    : repository_id(std::move(id)),
      master(master_key),
      chunk_id(crypto::derive(master, 1, kSubkeyContext)),
      chunk_cipher(crypto::derive(master, 2, kSubkeyContext)),
      metadata(crypto::derive(master, 3, kSubkeyContext)),
      gear(crypto::derive(master, 4, kSubkeyContext)),
      root(crypto::derive(master, 5, kSubkeyContext)),
      archive(crypto::derive(master, 6, kSubkeyContext)),
      tag(crypto::derive(master, 7, kSubkeyContext)) {}

util::Bytes encode_descriptor(const Descriptor& descriptor) {
  json::Object object;
  object["format"] = kFormatName;
  object["version"] = kFormatVersion;
  object["id"] = descriptor.id;
  object["created"] = util::format_rfc3339(descriptor.created);
  if (!descriptor.source.empty()) object["source"] = descriptor.source;
  return encode_checked_json(object);
}

Descriptor decode_descriptor(util::ByteView content) {
  const json::Object object = decode_checked_json(content);
  if (json::get_string(object, "format") != kFormatName) malformed("not a repository's config");
  const std::int64_t version = json::get_int(object, "version").value_or(0);
  if (version > kFormatVersion) {
    throw Error(ErrorCode::unsupported,
                cat("the repository has format version ", version, ", this build reads up to ",
                    kFormatVersion),
                "install a newer dbbackup");
  }
  if (version < 1) malformed("version");
  Descriptor descriptor;
  descriptor.id = json::get_string(object, "id").value_or("");
  descriptor.source = json::get_string(object, "source").value_or("");
  if (!util::is_ulid(descriptor.id)) malformed("id");
  if (!descriptor.source.empty() && !util::is_ulid(descriptor.source)) malformed("source");
  descriptor.created = required_time(object, "created");
  return descriptor;
}

util::Bytes make_slot(std::string_view repository_id, std::string_view slot_id,
                      std::string_view kind, util::TimePoint created, const Secret& secret,
                      const Secret& master) {
  json::Object object;
  object["version"] = kFormatVersion;
  object["kind"] = kind;
  object["created"] = util::format_rfc3339(created);
  if (kind == "passphrase") {
    util::Bytes salt(kSaltBytes);
    crypto::random_bytes(salt.data(), salt.size());
    const crypto::StretchCost cost;
    object["salt"] = util::to_hex(salt);
    object["operations"] = cost.operations;
    object["memory_bytes"] = cost.memory_bytes;
  }
  const std::optional<Secret> wrapping = wrapping_key(object, kind, secret);
  const util::Bytes associated = slot_associated(repository_id, slot_id, object);
  object["sealed"] = util::to_hex(crypto::seal(wrapping.value(), master.reveal(), associated));
  return encode_checked_json(object);
}

Slot parse_slot(util::ByteView content) {
  Slot slot;
  slot.object = decode_checked_json(content);
  if (json::get_int(slot.object, "version") != kFormatVersion) malformed("version");
  slot.kind = json::get_string(slot.object, "kind").value_or("");
  slot.created = required_time(slot.object, "created");
  const bool known = slot.kind == "daemon" || slot.kind == "passphrase" ||
                     slot.kind == "recovery" || slot.kind == kRepositorySlot;
  if (!known) malformed("kind");
  if (!util::from_hex(json::get_string(slot.object, "sealed").value_or("-"))) malformed("sealed");
  return slot;
}

std::optional<Secret> open_slot(std::string_view repository_id, std::string_view slot_id,
                                const Slot& slot, const Secret& secret) {
  if (secret.empty()) return std::nullopt;
  // derive() wants a key; what a user calls one may have any length.
  if (slot.kind != "passphrase" && secret.size() != crypto::kKeyBytes) return std::nullopt;
  const std::optional<Secret> wrapping = wrapping_key(slot.object, slot.kind, secret);
  const auto sealed = util::from_hex(json::get_string(slot.object, "sealed").value_or(""));
  if (!wrapping || !sealed) return std::nullopt;
  std::optional<util::Bytes> master =
      crypto::open(*wrapping, *sealed, slot_associated(repository_id, slot_id, slot.object));
  if (!master || master->size() != crypto::kKeyBytes) return std::nullopt;
  Secret opened(*master);
  crypto::wipe(master->data(), master->size());
  return opened;
}

Secret unlock_master(storage::ObjectStore& store, std::string_view prefix,
                     std::string_view repository_id, const Unlock& unlock) {
  std::vector<std::string> keys;
  store.list(std::string(prefix),
             [&](const storage::ObjectInfo& object) { keys.push_back(object.key); });
  std::sort(keys.begin(), keys.end());
  std::optional<Error> damage;
  for (const std::string& key : keys) {
    try {
      const Slot slot = parse_slot(store.get(key));
      const std::optional<Secret> master =
          open_slot(repository_id, name_of(key), slot, secret_for(unlock, slot.kind));
      if (master) return *master;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      damage = error.with_context(key);
    }
  }
  if (damage) throw *damage;
  throw Error(ErrorCode::not_authorised,
              cat("no key slot of ", store.describe(), " opens: ", describe(unlock)),
              "give the repository's passphrase or its recovery key");
}

}  // namespace dbbackup::repository
