// Freeing packs that no artifact needs, beside running backups. The reasoning, and why each step
// may crash, is in FORMAT.md section 10; the steps below have its names.
#include <algorithm>

#include "repository/repository_impl.hpp"
#include "repository/throttle.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::size_t kPacksPerSegment = 128;
constexpr std::size_t kManySegments = 64;
// What a pack has besides its records and their entries: counted as live, or a tiny pack would be
// repacked for ever.
constexpr std::size_t kPackOverhead = kPackHeaderBytes + crypto::kSealOverhead + kPackFooterBytes;
}  // namespace

class Pruning {
 public:
  Pruning(RepositoryImpl& repository, const PruneOptions& options, util::Task& task)
      : repository_(repository),
        index_(repository.index_),
        options_(options),
        oldest_running_start_(options.oldest_running_start),
        throttle_(repository.settings_.maintenance_rate, repository.clock_),
        task_(task) {}

  PruneReport run() {
    std::vector<std::string> unreadable_lists;
    condemned_ = repository_.condemned_packs(&unreadable_lists, task_.stop());
    mark();
    choose();
    if (options_.dry_run) return std::move(report_);
    report_.removable_bytes = 0;
    repository_.require_writable();
    repack();
    condemn();
    remove_condemned();
    renew_locks();
    for (const std::string& key : unreadable_lists) remove_object(key);
    return std::move(report_);
  }

 private:
  struct Pack {
    PackId id{};
    std::uint64_t size = 0;
    std::uint64_t live_bytes = 0;
    bool stored = false;
    bool known = false;
  };

  // Step 1. Whatever cannot be read ends the prune: what is not known to be dead is alive.
  void mark() {
    live_.assign(static_cast<std::size_t>(index_.largest_number()) + 1, false);
    walked_lists_.clear();
    try {
      for (const Manifest& manifest : repository_.list(task_.stop(), nullptr)) {
        if (options_.dry_run && options_.without.contains(manifest.id)) continue;
        for (std::size_t i = 0; i < manifest.streams.size(); ++i) {
          mark_list(chunk_list_root(manifest, i), manifest.id);
        }
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      throw error.with_context("cannot prune")
          .with_hint(
              "repository check says which artifacts are damaged; repository rescan, or remove "
              "them");
    }
  }

  std::size_t mark_chunk(const ChunkId& id, const std::string& artifact) {
    const std::optional<Location> location = index_.find(id);
    if (!location) throw unknown_chunk(id).as_error().with_context(cat("artifact ", artifact));
    const auto number = static_cast<std::size_t>(location->number);
    // Stored since the marking began: in a pack of a running backup, which is left alone.
    if (number < live_.size()) live_[number] = true;
    return number;
  }

  void mark_list(const ChunkId& id, const std::string& artifact) {
    task_.check();
    if (!walked_lists_.insert(mark_chunk(id, artifact)).second) return;
    const ChunkList list = decode_chunk_list(repository_.source().read(id, task_.stop()));
    for (const ChunkRef& entry : list.entries) {
      if (list.level == 0) {
        mark_chunk(entry.id, artifact);
      } else {
        mark_list(entry.id, artifact);
      }
    }
  }

  std::map<std::int64_t, std::uint64_t> live_bytes_by_pack() {
    std::map<std::int64_t, std::uint64_t> live;
    index_.each_chunk([&](std::int64_t number, std::int64_t pack, std::uint32_t stored) {
      const auto n = static_cast<std::size_t>(number);
      if (n >= live_.size() || live_[n]) live[pack] += stored + kPackEntryBytes;
    });
    return live;
  }

  // Which packs are dead and which are worth repacking; fills the report of a dry run.
  void choose() {
    std::map<std::int64_t, std::uint64_t> live = live_bytes_by_pack();
    std::map<PackId, Pack> packs;
    for (const PackRow& row : index_.packs()) {
      packs[row.id] = {row.id, row.size, live[row.number], false, true};
    }
    for (const auto& [id, info] : repository_.stored_packs(task_.stop())) {
      Pack& pack = packs.try_emplace(id, Pack{id, info.size, 0, false, false}).first->second;
      pack.stored = true;
      if (oldest_running_start_ && info.modified >= *oldest_running_start_) young_.insert(id);
    }
    for (const auto& [id, pack] : packs) {
      if (condemned_.contains(id)) {
        report_.removable_bytes += pack.stored ? pack.size : 0;
      } else if (repository_.sessions_.owns(id) || young_.contains(id)) {
        report_.kept_bytes += pack.size;
      } else if (pack.live_bytes == 0) {
        dead_.push_back(id);
        report_.condemned_packs.push_back(pack_key(id));
        report_.removable_bytes += pack.stored ? pack.size : 0;
      } else if (pack.stored && pack.known && (pack.live_bytes + kPackOverhead) * 2 < pack.size) {
        thin_.push_back(pack);
        report_.condemned_packs.push_back(pack_key(id));
        report_.removable_bytes += pack.size - pack.live_bytes;
        report_.kept_bytes += pack.live_bytes;
      } else {
        report_.kept_bytes += pack.size;
      }
    }
  }

  // Step 2.
  void repack() {
    PackBuilder builder;
    const auto put = [&] {
      if (builder.empty()) return;
      builder.finish(repository_.keys_);
      repository_.store_->put(pack_key(builder.contents().id), builder.content(), task_.stop());
      index_.add_pack(builder.contents(), false);
      report_.repacked_bytes += builder.bytes();
      builder = {};
    };
    std::vector<PackId> emptied;
    for (const Pack& pack : thin_) {
      task_.check();
      if (!copy_live_records(pack, builder)) continue;
      emptied.push_back(pack.id);
      if (builder.bytes() >= repository_.settings_.pack_bytes) put();
    }
    put();
    util::kill_point("prune.in_repack");
    // Packs of a prune that crashed here before it could list them, too: what they were copied from
    // has looked dead ever since, and is about to be condemned.
    repository_.list_unlisted_packs({dead_.begin(), dead_.end()}, task_.stop());
    if (!emptied.empty()) util::kill_point("prune.after_repack");
    dead_.insert(dead_.end(), emptied.begin(), emptied.end());
  }

  // False when the pack is damaged: it stays as it is, and check has something to report.
  bool copy_live_records(const Pack& pack, PackBuilder& builder) {
    std::vector<std::pair<PackEntry, Bytes>> records;
    try {
      const PackContents contents = repository_.read_pack(pack.id, pack.size, task_.stop());
      for (const PackEntry& entry : contents.entries) {
        const std::optional<Location> location = index_.find(entry.id);
        if (!location || location->pack != pack.id) continue;
        const auto number = static_cast<std::size_t>(location->number);
        if (number < live_.size() && !live_[number]) continue;
        Bytes record = repository_.store_->get(
            pack_key(pack.id), storage::Range{entry.offset, entry.stored}, task_.stop());
        throttle_.wait_for(record.size(), task_.stop());
        task_.check();
        Bytes plain;
        open_record(repository_.keys_, entry, record, plain);
        records.emplace_back(entry, std::move(record));
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      task_.warn(cat(pack_key(pack.id), " is damaged and was not repacked: ", error.message()));
      return false;
    }
    if (builder.bytes() == 0) builder = PackBuilder(repository_.settings_.pack_bytes, {});
    for (const auto& [entry, record] : records) builder.append(entry, record);
    return true;
  }

  // Step 3.
  void condemn() {
    report_.condemned_packs.clear();
    if (dead_.empty()) return;
    // Before the list is there: a put() that fails may have had its effect all the same, and then
    // nobody may have begun to rely on these packs since.
    util::kill_point("prune.before_condemn");
    const std::string key = cat(kCondemnedPrefix, repository_.ids_.next());
    for (const PackId& id : dead_) index_.set_state(id, PackState::condemned);
    repository_.condemnations_[key] = repository_.sessions_.condemned();
    util::json::Array names;
    for (const PackId& id : dead_) {
      names.emplace_back(util::to_hex(id));
      report_.condemned_packs.push_back(pack_key(id));
    }
    util::json::Object object;
    object["version"] = kFormatVersion;
    object["condemned_at"] = util::format_rfc3339(repository_.clock_.now());
    object["packs"] = std::move(names);
    const std::string text = util::json::write(object);
    repository_.store_->put(
        key, seal_object(repository_.keys_.metadata, kCondemnedMagic,
                         repository_.keys_.repository_id, key, util::as_bytes(text)));
    util::kill_point("prune.after_condemn");
  }

  bool is_due(const Condemned& list) const {
    const auto known = repository_.condemnations_.find(list.key);
    // Lists from before this process: whatever is being written now began after them.
    const std::uint64_t condemnation =
        known == repository_.condemnations_.end() ? 0 : known->second;
    return (!oldest_running_start_ || list.at < *oldest_running_start_) &&
           repository_.sessions_.all_began_after(condemnation);
  }

  // A list of which a pack is locked waits as a whole: it stays condemned, and a later prune, when
  // the lock has ended, removes it.
  bool is_locked(const Condemned& list) {
    if (!repository_.store_->locks()) return false;
    return std::any_of(list.packs.begin(), list.packs.end(), [&](const PackId& id) {
      task_.check();
      const auto until = repository_.store_->locked_until(pack_key(id), task_.stop());
      if (until) {
        task_.info(cat(list.packs.size(), " condemned packs stay: ", pack_key(id),
                       " is locked until ", util::format_rfc3339(*until)));
      }
      return until.has_value();
    });
  }

  // What kept artifacts need stays locked for the whole period from now on, however long ago it was
  // stored: a chunk of last year may be part of yesterday's artifact.
  void renew_locks() {
    if (!repository_.store_->locks()) return;
    const std::map<std::int64_t, std::uint64_t> live = live_bytes_by_pack();
    for (const PackRow& row : index_.packs()) {
      const auto at = live.find(row.number);
      if (at == live.end() || at->second == 0 || row.state != PackState::usable) continue;
      task_.check();
      repository_.store_->lock(pack_key(row.id), task_.stop());
    }
    std::vector<std::string> keys = repository_.keys_below(kManifestPrefix, task_.stop());
    const std::vector<std::string> slots = repository_.keys_below(kSlotPrefix, task_.stop());
    keys.insert(keys.end(), slots.begin(), slots.end());
    keys.emplace_back(kConfigKey);
    for (const std::string& key : keys) repository_.store_->lock(key, task_.stop());
  }

  // Step 4.
  void remove_condemned() {
    std::vector<Condemned> due;
    for (Condemned& list : repository_.condemned_lists(nullptr, task_.stop())) {
      if (is_due(list) && !is_locked(list)) due.push_back(std::move(list));
    }
    if (due.empty()) return;
    mark();
    const std::map<std::int64_t, std::uint64_t> live = live_bytes_by_pack();
    std::set<PackId> needed;
    for (const PackRow& row : index_.packs()) {
      const auto at = live.find(row.number);
      if (at != live.end() && at->second > 0) needed.insert(row.id);
    }
    std::vector<PackId> gone;
    std::vector<PackId> kept;
    for (const Condemned& list : due) {
      for (const PackId& id : list.packs) (needed.contains(id) ? kept : gone).push_back(id);
    }
    repository_.require_writable();
    replace_segments({gone.begin(), gone.end()});
    index_.set_unlisted(gone);
    util::kill_point("prune.before_delete");
    for (const PackId& id : gone) {
      task_.check();
      util::kill_point("prune.in_delete");
      const std::string key = pack_key(id);
      const auto info = repository_.store_->stat(key);
      if (!info) continue;  // a prune that crashed had come so far
      remove_object(key);
      report_.removable_bytes += info->size;
    }
    util::kill_point("prune.after_delete");
    index_.remove_packs(gone);
    for (const Condemned& list : due) {
      remove_object(list.key);
      repository_.condemnations_.erase(list.key);
    }
    // Only now: while a list names them, nobody may begin to rely on them.
    for (const PackId& id : kept) index_.set_state(id, PackState::usable);
  }

  // New segments first, so that every pack is listed at every moment.
  void replace_segments(const std::set<PackId>& gone) {
    const std::vector<std::string> keys = repository_.keys_below(kIndexPrefix, task_.stop());
    const bool merge = keys.size() > kManySegments;
    std::vector<std::string> old;
    std::vector<PackContents> kept;
    const auto replace = [&] {
      if (!kept.empty()) repository_.write_segment(std::exchange(kept, {}));
      for (const std::string& key : std::exchange(old, {})) {
        remove_object(key);
        index_.remove_segment(name_of(key));
      }
    };
    for (const std::string& key : keys) {
      std::vector<PackContents> packs;
      try {
        packs = repository_.read_segment(key, task_.stop());
      } catch (const Error& error) {
        if (error.code() != ErrorCode::verification_failed) throw;
        task_.warn(cat(error.message(), "; left as it is"));
        continue;
      }
      const auto end = std::remove_if(packs.begin(), packs.end(), [&](const PackContents& pack) {
        return gone.contains(pack.id);
      });
      const bool small = merge && packs.size() < kPacksPerSegment / 2;
      if (end == packs.end() && !small) continue;
      old.push_back(key);
      kept.insert(kept.end(), packs.begin(), end);
      if (kept.size() >= kPacksPerSegment) replace();
    }
    replace();
  }

  void remove_object(const std::string& key) {
    repository_.store_->remove(key);
    report_.removed_objects.push_back(key);
  }

  RepositoryImpl& repository_;
  LocalIndex& index_;
  const PruneOptions& options_;
  const std::optional<util::TimePoint> oldest_running_start_;
  Throttle throttle_;
  util::Task& task_;
  PruneReport report_;
  std::vector<bool> live_;  // by number of chunk
  std::set<std::size_t> walked_lists_;
  std::set<PackId> condemned_;
  std::set<PackId> young_;
  std::vector<PackId> dead_;
  std::vector<Pack> thin_;
};

PruneReport RepositoryImpl::prune(const PruneOptions& options, util::Task& task) {
  const std::scoped_lock maintenance(maintenance_);
  return Pruning(*this, options, task).run();
}

}  // namespace dbbackup::repository
