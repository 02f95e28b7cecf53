// A repository: a store full of sealed, deduplicated chunks, and the manifests that say which of
// them make an artifact. FORMAT.md beside this file documents every byte; this header says what can
// be done.
//
// The order of writing is the law the whole product stands on: packs, then an index segment, then
// the manifest. A crash at any instant leaves objects that no manifest names; prune removes them.
// The local index (SQLite, one file per repository) is a cache: rescan() makes it anew from the
// store.
//
// Threads: all members are safe from any thread; several artifacts may be written at once. prune()
// may run beside backups. Owns: the store, the local index connection, the ownership lease while
// `writable`. Errors: those of storage::ObjectStore; verification_failed for damaged objects,
// naming the object's key; conflict when another daemon owns the repository; not_authorised for a
// key or passphrase that opens no slot.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/secret.hpp"
#include "repository/manifest.hpp"
#include "repository/stream.hpp"
#include "storage/object_store.hpp"
#include "util/task.hpp"
#include "util/time.hpp"
#include "util/ulid.hpp"

namespace dbbackup::repository {

enum class SlotKind { daemon, passphrase, recovery };
std::string_view slot_kind_name(SlotKind kind);

struct KeySlot {
  std::string id;
  SlotKind kind = SlotKind::daemon;
  util::TimePoint created;
};

// One way to open the key slots; whichever is set is tried against slots of its kind.
struct Unlock {
  crypto::Secret daemon_key = {};  // 32 bytes
  crypto::Secret passphrase = {};
  crypto::Secret recovery_key = {};  // 32 bytes
};

struct Settings {
  std::filesystem::path index_file;  // local chunk index; its folder exists; empty: in memory
  std::string owner;                 // id of this daemon, for the lease
  std::string session = {};          // of this process; empty: of this opening alone
  bool writable = true;              // take the lease; false: read and restore only
  unsigned seal_workers = 2;         // threads that hash, compress and seal
  std::uint64_t memory_bytes =
      128ULL << 20U;  // budget for chunks and packs in flight, per artifact being written
  std::uint32_t pack_bytes = 32U << 20U;
  int compression_level = 3;
  // Most bytes per second that repacking and checking read, so that they leave the disk and the
  // line to others; 0: no limit.
  std::uint64_t maintenance_rate = 0;
};

struct Created {
  std::string repository_id;
  std::string recovery_key;  // printable; shown once
};

struct ArtifactIdentity {
  std::string id;    // ULID
  std::string name;  // "<database>@<host>--<UTC time>"
  std::string database;
  std::string job;  // empty for an ad-hoc run
  std::string run;
  std::string engine;
  std::string type = "full";
  std::string base = {};
  util::TimePoint started;
  util::json::Object origin = {};  // Manifest::origin
};

struct Committed {
  Manifest manifest;
  std::uint64_t added_bytes = 0;  // stored bytes this artifact added
};

struct Damage {
  std::string object;                  // key of the damaged or missing object
  std::string problem;                 // "missing", "truncated: ...", "does not authenticate", ...
  std::vector<std::string> artifacts;  // ids that need it
};

// Which packs a check reads. Pack ids are random, so their first 32 bits place them evenly on a
// ring; a share is an arc of it. Arcs that join read everything once they have gone round.
struct ReadShare {
  static constexpr std::uint64_t kWhole = std::uint64_t{1} << 32U;
  std::uint64_t begin = 0;   // below kWhole
  std::uint64_t length = 0;  // 0: nothing is read; kWhole: everything

  static ReadShare of_chance(unsigned percent);
  bool contains(std::uint32_t place) const { return (place - begin) % kWhole < length; }
};

struct CheckReport {
  std::uint64_t artifacts = 0;
  std::uint64_t packs = 0;
  std::uint64_t chunks = 0;
  std::uint64_t read_bytes = 0;
  std::vector<Damage> damage;
};

struct PruneOptions {
  bool dry_run = false;
  // Start of the oldest run that uses the repository; empty: nothing runs.
  std::optional<util::TimePoint> oldest_running_start = {};
  // Dry run only: artifacts that a prune would have removed before.
  std::set<std::string> without = {};
};

struct PruneReport {
  std::vector<std::string> condemned_packs;
  std::vector<std::string> removed_objects;
  std::uint64_t repacked_bytes = 0;
  std::uint64_t removable_bytes = 0;  // what was freed; of a dry run: what would be, at last
  std::uint64_t kept_bytes = 0;
};

class Repository {
 public:
  // Makes a new repository in an empty store with a daemon slot, a recovery slot, and a passphrase
  // slot when given. Errors: already_exists when the store holds one.
  static Created create(storage::ObjectStore& store, const crypto::Secret& daemon_key,
                        const crypto::Secret& passphrase, const util::Clock& clock);
  static bool exists(storage::ObjectStore& store);

  static std::unique_ptr<Repository> open(std::unique_ptr<storage::ObjectStore> store,
                                          const Unlock& unlock, const Settings& settings,
                                          const util::Clock& clock);
  // Makes `owner` the one daemon that may write, whoever it was before. Make sure that the other
  // one is stopped.
  static void take_over(storage::ObjectStore& store, const std::string& owner,
                        const util::Clock& clock);
  virtual ~Repository() = default;

  virtual const std::string& id() const = 0;
  virtual storage::ObjectStore& store() = 0;

  // Fences off every earlier process of this daemon now, and not only with the first write.
  virtual void claim() = 0;

  // Writing. `task` must outlive the writer; its stop token abandons. Progress is the engine's to
  // tell.
  virtual std::unique_ptr<ArtifactWriter> begin(const ArtifactIdentity& identity,
                                                util::Task& task) = 0;
  // Makes the artifact durable and visible. The writer is spent.
  // Errors: internal, when a stream is still open.
  virtual Committed commit(ArtifactWriter& writer, const Summary& summary) = 0;

  // Reading.
  // A manifest that does not open is added to `damaged` when that is given, and thrown as
  // verification_failed when not.
  virtual std::vector<Manifest> list(std::stop_token stop = {},
                                     std::vector<Damage>* damaged = nullptr) = 0;
  virtual std::optional<Manifest> find(const std::string& artifact_id,
                                       std::stop_token stop = {}) = 0;
  virtual std::unique_ptr<ArtifactReader> read(const std::string& artifact_id,
                                               std::stop_token stop = {}) = 0;

  // Removes the manifest; chunks stay until prune().
  virtual void remove(const std::string& artifact_id) = 0;

  // Two steps: condemns packs no manifest needs (and repacks half-dead ones), then deletes what was
  // condemned before `oldest_running_start` (or everything condemned when nothing runs).
  virtual PruneReport prune(const PruneOptions& options, util::Task& task) = 0;
  PruneReport prune(bool dry_run, std::optional<util::TimePoint> oldest_running_start,
                    util::Task& task) {
    return prune({.dry_run = dry_run, .oldest_running_start = oldest_running_start}, task);
  }

  // Verifies that every manifest opens, every chunk it names is in an existing pack of the right
  // size; also reads a share of the packs, authenticates every chunk and rehashes its plaintext.
  virtual CheckReport check(const ReadShare& share, util::Task& task) = 0;
  // Reads about `read_percent` of the packs, chosen by chance.
  CheckReport check(unsigned read_percent, util::Task& task) {
    return check(ReadShare::of_chance(read_percent), task);
  }
  // Reads and authenticates everything one artifact needs. The damage found, empty when it is
  // sound.
  virtual std::vector<Damage> verify(const std::string& artifact_id, util::Task& task) = 0;

  // Rebuilds the local index from the store.
  virtual void rescan(util::Task& task) = 0;

  virtual std::vector<KeySlot> key_slots() = 0;
  virtual KeySlot add_passphrase(const crypto::Secret& passphrase) = 0;
  virtual KeySlot add_daemon_key(const crypto::Secret& daemon_key) = 0;
  // A fresh recovery key in a slot of its own, printable.
  virtual std::string new_recovery_key() = 0;
  // Errors: refused for the last slot; not_found.
  virtual void remove_key_slot(const std::string& slot_id) = 0;

  struct Usage {
    std::uint64_t artifacts = 0;
    std::uint64_t stored_bytes = 0;
  };
  virtual Usage usage() = 0;

  // One artifact as one file (the same pack format, index and manifest, in sequence) and back. The
  // file is sealed with a fresh key of its own; it can be opened with this repository's daemon or
  // recovery key (its slots travel along) and, when given, with a passphrase.
  virtual void export_archive(const std::string& artifact_id, const std::filesystem::path& file,
                              const crypto::Secret& passphrase, util::Task& task) = 0;
  // Errors: already_exists when the artifact is in this repository already.
  virtual Manifest import_archive(const std::filesystem::path& file, const Unlock& unlock,
                                  util::Task& task) = 0;
  // Reads an archive in place, without any repository.
  static std::unique_ptr<ArtifactReader> open_archive(const std::filesystem::path& file,
                                                      const Unlock& unlock);
};

}  // namespace dbbackup::repository
