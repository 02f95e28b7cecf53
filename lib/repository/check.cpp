// Looking for damage: in every object, and in everything one artifact needs.
#include <algorithm>
#include <atomic>
#include <thread>

#include "repository/read_ahead.hpp"
#include "repository/repository_impl.hpp"
#include "repository/throttle.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

void DamageLog::add(const std::string& object, const std::string& problem,
                    const std::string& artifact) {
  Entry& entry = found_[object];
  if (entry.problem.empty()) entry.problem = problem;
  if (!artifact.empty()) entry.artifacts.insert(artifact);
}

std::vector<Damage> DamageLog::take() {
  std::vector<Damage> damage;
  for (auto& [object, entry] : found_) {
    damage.push_back({object, entry.problem, {entry.artifacts.begin(), entry.artifacts.end()}});
  }
  found_.clear();
  return damage;
}

class Checking {
 public:
  Checking(RepositoryImpl& repository, util::Task& task)
      : repository_(repository),
        throttle_(repository.settings_.maintenance_rate, repository.clock_),
        task_(task) {}

  CheckReport run(const ReadShare& share) {
    check_small_objects();
    check_packs();
    if (share.length > 0) read_packs(share);
    judge_absent_packs();
    mark_lost();
    check_artifacts();
    repository_.index_.each_chunk(
        [this](std::int64_t, std::int64_t, std::uint32_t) { ++report_.chunks; });
    report_.damage = damage_.take();
    return std::move(report_);
  }

 private:
  // Runs `look` on the object's content; what it throws as damage is noted. An object that has just
  // been listed and is gone was removed by prune or with its slot.
  void look_at(const std::string& key, const std::function<void(ByteView)>& look) {
    task_.check();
    try {
      look(repository_.store_->get(key, {}, task_.stop()));
    } catch (const Error& error) {
      const bool removed = error.code() == ErrorCode::not_found && key != kConfigKey;
      if (!removed) note(key, error);
    }
  }

  void note(const std::string& key, const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw error;
    const bool missing = error.code() == ErrorCode::not_found;
    std::string problem = missing ? "missing" : error.message();
    if (problem.starts_with(key + ": ")) problem.erase(0, key.size() + 2);
    damage_.add(key, problem);
  }

  void check_small_objects() {
    look_at(std::string(kConfigKey), [this](ByteView content) {
      if (decode_descriptor(content).id != repository_.id()) {
        throw Error(ErrorCode::verification_failed, "has another repository's id");
      }
    });
    for (const std::string& key : repository_.keys_below(kSlotPrefix)) {
      look_at(key, [](ByteView content) { parse_slot(content); });
    }
    if (repository_.store_->stat(std::string(kOwnerKey))) {
      look_at(std::string(kOwnerKey), check_owner_object);
    }
    for (const std::string& key : repository_.keys_below(kIndexPrefix)) {
      look_at(key, [&](ByteView content) {
        decode_segment(open_object(repository_.keys_.metadata, kIndexMagic,
                                   repository_.keys_.repository_id, key, content));
      });
    }
    std::vector<std::string> unreadable;
    repository_.condemned_packs(&unreadable, task_.stop());
    for (const std::string& key : unreadable) damage_.add(key, "does not authenticate");
  }

  void check_packs() {
    stored_ = repository_.stored_packs(task_.stop());
    report_.packs = stored_.size();
    for (const PackRow& row : repository_.index_.packs()) {
      // A pack that is on its way into the store is in the index only after it is there.
      const auto at = stored_.find(row.id);
      const std::string key = pack_key(row.id);
      if (at == stored_.end()) {
        if (!repository_.store_->stat(key)) absent_.insert(row.id);
      } else if (at->second.size < row.size) {
        damage_.add(key, cat("truncated: ", at->second.size, " of ", row.size, " bytes"));
      } else if (at->second.size > row.size) {
        damage_.add(key, cat("has ", at->second.size - row.size, " extra bytes"));
      }
    }
  }

  // Whole packs, so that header, trailer and every record are looked at.
  void read_packs(const ReadShare& share) {
    std::vector<storage::ObjectInfo> chosen;
    for (const auto& [id, info] : stored_) {
      if (share.contains(util::read_u32(id))) chosen.push_back(info);
    }
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::optional<Error> failure;
    const auto work = [&] {
      for (std::size_t i = next++; i < chosen.size(); i = next++) {
        try {
          throttle_.wait_for(chosen[i].size, task_.stop());
          task_.check();
          const std::optional<Error> problem = read_pack(chosen[i]);
          const std::scoped_lock lock(mutex);
          report_.read_bytes += chosen[i].size;
          if (problem && problem->code() == ErrorCode::not_found) {
            absent_.insert(pack_id_from_key(chosen[i].key).value());
          } else if (problem) {
            note(chosen[i].key, *problem);
          }
        } catch (...) {
          const std::scoped_lock lock(mutex);
          if (!failure) failure = util::current_error();
          next = chosen.size();
        }
      }
    };
    {
      std::vector<std::jthread> workers;
      for (unsigned i = 0; i < std::max(1U, repository_.settings_.seal_workers); ++i) {
        workers.emplace_back(work);
      }
    }
    if (failure) throw *failure;
  }

  std::optional<Error> read_pack(const storage::ObjectInfo& info) {
    try {
      const Bytes object = repository_.store_->get(info.key, {}, task_.stop());
      const PackContents contents =
          read_pack_contents(repository_.keys_.metadata, repository_.keys_.repository_id,
                             pack_id_from_key(info.key).value(), object.size(),
                             [&](std::uint64_t offset, std::uint64_t length) {
                               const ByteView part = ByteView(object).subspan(offset, length);
                               return Bytes(part.begin(), part.end());
                             });
      Bytes plain;
      for (const PackEntry& entry : contents.entries) {
        try {
          verify_record(repository_.keys_, entry,
                        ByteView(object).subspan(entry.offset, entry.stored), plain);
        } catch (const Error& error) {
          return error.with_context(cat("chunk at byte ", entry.offset));
        }
        task_.progress().bytes += entry.stored;
      }
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }

  // A condemned pack may be gone: prune deletes packs before it forgets them, and may have crashed
  // in between. It is missed only when an artifact needs it after all, which check_chunk() finds.
  void judge_absent_packs() {
    for (const PackRow& row : repository_.index_.packs()) {
      if (absent_.contains(row.id) && row.state != PackState::condemned) {
        damage_.add(pack_key(row.id), "missing");
      }
    }
  }

  // The next backup stores what damaged packs held anew, as far as its source still has it.
  void mark_lost() {
    for (const PackRow& row : repository_.index_.packs()) {
      if (row.state == PackState::usable && damage_.contains(pack_key(row.id))) {
        repository_.index_.set_state(row.id, PackState::lost);
      }
    }
  }

  void check_artifacts() {
    std::vector<Damage> unreadable;
    const std::vector<Manifest> manifests = repository_.list(task_.stop(), &unreadable);
    report_.artifacts = manifests.size() + unreadable.size();
    for (const Damage& damage : unreadable) {
      note(damage.object, Error(ErrorCode::verification_failed, damage.problem));
      damage_.add(damage.object, damage.problem, damage.artifacts.front());
    }
    for (const Manifest& manifest : manifests) {
      task_.progress().streams_total += manifest.streams.size();
    }
    for (const Manifest& manifest : manifests) {
      for (std::size_t i = 0; i < manifest.streams.size(); ++i) {
        check_list(chunk_list_root(manifest, i), manifest.id);
        ++task_.progress().streams_done;
      }
    }
  }

  // Whether a chunk is where it should be; if not, the artifact is noted with what is damaged.
  bool check_chunk(const ChunkId& id, const std::string& artifact) {
    const std::optional<Location> location = repository_.index_.find(id);
    if (!location) {
      const Problem problem = unknown_chunk(id);
      damage_.add(problem.object, problem.error.message(), artifact);
      return false;
    }
    const std::string key = pack_key(location->pack);
    if (absent_.contains(location->pack)) {
      damage_.add(key, "missing", artifact);
    } else if (damage_.contains(key)) {
      damage_.add(key, {}, artifact);
    } else {
      return true;
    }
    return false;
  }

  // True when everything below is sound; such lists are not walked again for other artifacts.
  bool check_list(const ChunkId& id, const std::string& artifact) {
    task_.check();
    if (sound_lists_.contains(id)) return true;
    bool sound = check_chunk(id, artifact);
    try {
      const ChunkList list = decode_chunk_list(repository_.source().read(id, task_.stop()));
      for (const ChunkRef& entry : list.entries) {
        sound =
            (list.level == 0 ? check_chunk(entry.id, artifact) : check_list(entry.id, artifact)) &&
            sound;
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      if (sound) note_unreadable(id, error, artifact);
      sound = false;
    }
    if (sound) sound_lists_.insert(id);
    return sound;
  }

  void note_unreadable(const ChunkId& id, const Error& error, const std::string& artifact) {
    const std::optional<Location> location = repository_.index_.find(id);
    const std::string key = location ? pack_key(location->pack) : unknown_chunk(id).object;
    note(key, error);
    damage_.add(key, {}, artifact);
  }

  RepositoryImpl& repository_;
  Throttle throttle_;
  util::Task& task_;
  CheckReport report_;
  DamageLog damage_;
  std::map<PackId, storage::ObjectInfo> stored_;
  std::set<PackId> absent_;  // named by the index or by the store's list, and not there
  std::unordered_set<ChunkId, ChunkIdHash> sound_lists_;
};

ReadShare ReadShare::of_chance(unsigned percent) {
  std::uint8_t dice[4];
  crypto::random_bytes(dice, sizeof dice);
  return {util::read_u32(dice), kWhole * std::min(percent, 100U) / 100};
}

CheckReport RepositoryImpl::check(const ReadShare& share, util::Task& task) {
  return Checking(*this, task).run(share);
}

std::vector<Damage> RepositoryImpl::verify(const std::string& artifact_id, util::Task& task) {
  DamageLog damage;
  std::optional<Manifest> manifest;
  const std::string key = cat(kManifestPrefix, artifact_id);
  try {
    manifest = require_manifest(artifact_id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::verification_failed) throw;
    damage.add(key, error.message(), artifact_id);
    return damage.take();
  }
  // Every chunk once, in the order in which they lie in the packs.
  struct Needed {
    std::int64_t pack;
    std::uint32_t offset;
    ChunkRef chunk;
    std::size_t stream;
  };
  std::vector<Needed> needed;
  const auto need = [&](const ChunkRef& chunk, std::size_t stream) {
    const std::optional<Location> at = index_.find(chunk.id);
    needed.push_back({at ? at->pack_number : 0, at ? at->entry.offset : 0, chunk, stream});
  };
  task.progress().streams_total += manifest->streams.size();
  for (std::size_t i = 0; i < manifest->streams.size(); ++i) {
    try {
      std::vector<ChunkId> lists;
      for (const ChunkRef& chunk : chunks_of_stream(source(), *manifest, i, task.stop(), &lists)) {
        need(chunk, i);
      }
      for (const ChunkId& list : lists) need({list, index_.find(list).value().entry.plain}, i);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      const std::optional<Location> at = index_.find(chunk_list_root(*manifest, i));
      damage.add(at ? pack_key(at->pack) : key, error.message(), artifact_id);
    }
  }
  std::sort(needed.begin(), needed.end(), [](const Needed& a, const Needed& b) {
    return std::tie(a.pack, a.offset, a.chunk.id) < std::tie(b.pack, b.offset, b.chunk.id);
  });
  std::vector<ChunkRef> chunks;
  std::uint64_t bytes = 0;
  std::map<std::size_t, std::uint64_t> last;  // chunk of each stream
  for (const Needed& each : needed) {
    if (chunks.empty() || chunks.back().id != each.chunk.id) {
      chunks.push_back(each.chunk);
      bytes += each.chunk.plain;
    }
    last[each.stream] = chunks.size() - 1;
  }
  std::map<std::uint64_t, std::uint64_t> complete;  // how many streams are, after which chunk
  for (const auto& [stream, index] : last) ++complete[index];
  task.progress().bytes_total += bytes;
  const ReadAheadOptions options{.workers = settings_.seal_workers, .verify = true};
  read_in_order(source(), chunks, options, task.stop(),
                [&](std::uint64_t index, ByteView plain, const std::optional<Problem>& problem) {
                  task.progress().bytes += plain.size();
                  const auto streams = complete.find(index);
                  if (streams != complete.end()) task.progress().streams_done += streams->second;
                  if (problem) damage.add(problem->object, problem->error.message(), artifact_id);
                });
  return damage.take();
}

}  // namespace dbbackup::repository
