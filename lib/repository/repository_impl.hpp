// Repository's one implementation; its verbs are in repository.cpp, index_sync.cpp, prune.cpp,
// check.cpp and archive.cpp.
//
// Threads: as Repository says. `maintenance_` is held by prune and rescan; begin() waits for a
// rescan only.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_set>

#include "repository/artifact_reader.hpp"
#include "repository/artifact_writer.hpp"
#include "repository/ownership.hpp"
#include "repository/repository.hpp"

namespace dbbackup::repository {

// Artifacts being written in this process, and a count of condemnations to order them by (FORMAT.md
// section 10).
class Sessions {
 public:
  struct Session {
    std::uint64_t epoch = 0;
    std::shared_ptr<SealPipeline> pipeline;
  };
  using Handle = std::list<Session>::iterator;

  Handle begin(std::shared_ptr<SealPipeline> pipeline);
  void end(Handle session);
  bool any() const;
  // A condemnation has just taken effect. Returns its number.
  std::uint64_t condemned();
  // Whether every artifact being written began after that condemnation.
  bool all_began_after(std::uint64_t condemnation) const;
  bool owns(const PackId& pack) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t epoch_ = 0;
  std::list<Session> active_;
};

struct Condemned {
  std::string key;
  util::TimePoint at;
  std::vector<PackId> packs;
};

class RepositoryImpl final : public Repository {
 public:
  RepositoryImpl(std::unique_ptr<storage::ObjectStore> store, Keys keys, const Settings& settings,
                 const util::Clock& clock);

  const std::string& id() const override { return keys_.repository_id; }
  storage::ObjectStore& store() override { return *store_; }
  void claim() override { require_writable(); }

  std::unique_ptr<ArtifactWriter> begin(const ArtifactIdentity& identity,
                                        util::Task& task) override;
  Committed commit(ArtifactWriter& writer, const Summary& summary) override;
  std::vector<Manifest> list(std::stop_token stop, std::vector<Damage>* damaged) override;
  std::optional<Manifest> find(const std::string& artifact_id, std::stop_token stop) override;
  std::unique_ptr<ArtifactReader> read(const std::string& artifact_id,
                                       std::stop_token stop) override;
  void remove(const std::string& artifact_id) override;
  using Repository::check;
  using Repository::prune;
  PruneReport prune(const PruneOptions& options, util::Task& task) override;
  CheckReport check(const ReadShare& share, util::Task& task) override;
  std::vector<Damage> verify(const std::string& artifact_id, util::Task& task) override;
  void rescan(util::Task& task) override;
  std::vector<KeySlot> key_slots() override;
  KeySlot add_passphrase(const crypto::Secret& passphrase) override;
  KeySlot add_daemon_key(const crypto::Secret& daemon_key) override;
  std::string new_recovery_key() override;
  void remove_key_slot(const std::string& slot_id) override;
  Usage usage() override;
  void export_archive(const std::string& artifact_id, const std::filesystem::path& file,
                      const crypto::Secret& passphrase, util::Task& task) override;
  Manifest import_archive(const std::filesystem::path& file, const Unlock& unlock,
                          util::Task& task) override;

  // Makes the local index agree with the store (FORMAT.md section 7). index_sync.cpp
  void sync_index();

 private:
  friend class Pruning;
  friend class Checking;

  void require_writable(const std::stop_token& stop = {});
  ChunkSource source() { return {*store_, keys_, index_}; }
  std::shared_ptr<SealPipeline> make_pipeline(const std::stop_token& stop);
  Committed commit_manifest(SealPipeline& pipeline, Manifest manifest, util::Task& task);
  Manifest require_manifest(const std::string& artifact_id, std::stop_token stop = {});
  Manifest open_manifest(const std::string& key, util::ByteView object) const;
  std::vector<std::string> keys_below(std::string_view prefix, std::stop_token stop = {});
  KeySlot add_slot(SlotKind kind, const crypto::Secret& secret);

  // index_sync.cpp
  PackContents read_pack(const PackId& id, std::uint64_t size, std::stop_token stop);
  void list_unlisted_packs(const std::set<PackId>& except, std::stop_token stop);
  std::string write_segment(const std::vector<PackContents>& packs, std::stop_token stop = {});
  std::vector<PackContents> read_segment(const std::string& key, std::stop_token stop);
  std::map<PackId, storage::ObjectInfo> stored_packs(std::stop_token stop);
  std::vector<std::string> load_everything(const std::set<PackId>& condemned, std::stop_token stop);
  void compare_packs(const std::set<PackId>& condemned, std::stop_token stop);
  std::vector<Condemned> condemned_lists(std::vector<std::string>* damaged, std::stop_token stop);
  std::set<PackId> condemned_packs(std::vector<std::string>* damaged, std::stop_token stop);

  const std::unique_ptr<storage::ObjectStore> store_;
  const Keys keys_;
  const Settings settings_;
  const util::Clock& clock_;
  const GearTable gear_;
  util::UlidSource ids_;
  LocalIndex index_;
  std::optional<Ownership> ownership_;
  Sessions sessions_;
  std::mutex maintenance_;
  std::shared_mutex rescanning_;
  std::map<std::string, std::uint64_t> condemnations_;  // key of a list made here -> its number
};

// Damage by object, each with the first problem found and everybody who needs it.
class DamageLog {
 public:
  void add(const std::string& object, const std::string& problem, const std::string& artifact = {});
  bool contains(const std::string& object) const { return found_.contains(object); }
  bool empty() const { return found_.empty(); }
  std::vector<Damage> take();

 private:
  struct Entry {
    std::string problem;
    std::set<std::string> artifacts;
  };
  std::map<std::string, Entry> found_;
};

}  // namespace dbbackup::repository
