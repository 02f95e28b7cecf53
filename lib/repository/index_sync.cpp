// How the local index follows the store (FORMAT.md section 7).
#include <algorithm>

#include "repository/repository_impl.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::size_t kPacksPerSegment = 128;

bool is_damage(const Error& error) {
  return error.code() == ErrorCode::verification_failed || error.code() == ErrorCode::not_found;
}
}  // namespace

PackContents RepositoryImpl::read_pack(const PackId& id, std::uint64_t size, std::stop_token stop) {
  const std::string key = pack_key(id);
  try {
    return read_pack_contents(keys_.metadata, keys_.repository_id, id, size,
                              [&](std::uint64_t offset, std::uint64_t length) {
                                return store_->get(key, storage::Range{offset, length}, stop);
                              });
  } catch (const Error& error) {
    throw problem_of_read(*store_, key, error, size).as_error();
  }
}

std::vector<PackContents> RepositoryImpl::read_segment(const std::string& key,
                                                       std::stop_token stop) {
  const Bytes object = store_->get(key, {}, std::move(stop));
  try {
    return decode_segment(
        open_object(keys_.metadata, kIndexMagic, keys_.repository_id, key, object));
  } catch (const Error& error) {
    throw error.with_context(key).with_hint("make it anew from the packs: repository rescan");
  }
}

std::string RepositoryImpl::write_segment(const std::vector<PackContents>& packs,
                                          std::stop_token stop) {
  const std::string name = ids_.next();
  const std::string key = cat(kIndexPrefix, name);
  store_->put(
      key,
      seal_object(keys_.metadata, kIndexMagic, keys_.repository_id, key, encode_segment(packs)),
      std::move(stop));
  std::vector<PackId> ids;
  for (const PackContents& pack : packs) ids.push_back(pack.id);
  index_.note_segment(name, ids);
  return key;
}

// Packs of crashed runs, and of artifacts still being written, that may have served a committing
// artifact.
void RepositoryImpl::list_unlisted_packs(const std::set<PackId>& except, std::stop_token stop) {
  std::vector<PackContents> packs;
  for (const PackRow& row : index_.packs()) {
    if (row.listed || row.state != PackState::usable || except.contains(row.id)) continue;
    try {
      packs.push_back(read_pack(row.id, row.size, stop));
    } catch (const Error& error) {
      if (is_damage(error)) index_.set_state(row.id, PackState::lost);
      throw;
    }
    if (packs.size() == kPacksPerSegment) write_segment(std::exchange(packs, {}), stop);
  }
  if (!packs.empty()) write_segment(packs, stop);
}

std::map<PackId, storage::ObjectInfo> RepositoryImpl::stored_packs(std::stop_token stop) {
  std::map<PackId, storage::ObjectInfo> found;
  store_->list(
      std::string(kPackPrefix),
      [&](const storage::ObjectInfo& info) {
        if (const std::optional<PackId> id = pack_id_from_key(info.key)) found[*id] = info;
      },
      std::move(stop));
  return found;
}

std::vector<Condemned> RepositoryImpl::condemned_lists(std::vector<std::string>* damaged,
                                                       std::stop_token stop) {
  std::vector<Condemned> lists;
  for (const std::string& key : keys_below(kCondemnedPrefix, stop)) {
    try {
      const Bytes content = open_object(keys_.metadata, kCondemnedMagic, keys_.repository_id, key,
                                        store_->get(key, {}, stop));
      const util::json::Value value = util::json::parse(util::as_text(content));
      if (!value.is_object()) throw Error(ErrorCode::verification_failed, "not a JSON object");
      const util::json::Object& object = value.get_object();
      const auto at = util::parse_time(util::json::get_string(object, "condemned_at").value_or(""));
      if (!at) throw Error(ErrorCode::verification_failed, "malformed");
      Condemned& list = lists.emplace_back(Condemned{key, *at, {}});
      for (const std::string& hex : util::json::get_strings(object, "packs")) {
        if (const auto id = pack_id_from_key(cat(kPackPrefix, hex.substr(0, 2), "/", hex))) {
          list.packs.push_back(*id);
        }
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) continue;  // removed meanwhile
      // A list that cannot be read condemns nothing: its packs are found again by the next prune.
      if (!is_damage(error)) throw;
      if (damaged != nullptr) damaged->push_back(key);
    }
  }
  return lists;
}

std::set<PackId> RepositoryImpl::condemned_packs(std::vector<std::string>* damaged,
                                                 std::stop_token stop) {
  std::set<PackId> condemned;
  for (const Condemned& list : condemned_lists(damaged, std::move(stop))) {
    condemned.insert(list.packs.begin(), list.packs.end());
  }
  return condemned;
}

// States by what is in the store now: condemned lists, and packs that are absent or of another
// size.
void RepositoryImpl::compare_packs(const std::set<PackId>& condemned, std::stop_token stop) {
  const std::map<PackId, storage::ObjectInfo> stored = stored_packs(stop);
  std::vector<PackId> gone;
  for (const PackRow& row : index_.packs()) {
    const auto at = stored.find(row.id);
    PackState state = row.state == PackState::lost ? PackState::lost : PackState::usable;
    if (at == stored.end() || at->second.size != row.size) {
      if (!row.listed) gone.push_back(row.id);
      state = PackState::lost;
    }
    // Also when it is absent: a prune that crashed had deleted it, and no artifact misses it.
    if (condemned.contains(row.id)) state = PackState::condemned;
    if (state != row.state) index_.set_state(row.id, state);
  }
  index_.remove_packs(gone);
}

// Fills an empty index from segments, and from trailers where no readable segment covers a pack.
// Returns the keys of segments that cannot be read.
std::vector<std::string> RepositoryImpl::load_everything(const std::set<PackId>& condemned,
                                                         std::stop_token stop) {
  index_.clear();
  std::vector<std::string> damaged;
  std::set<PackId> covered;
  for (const std::string& key : keys_below(kIndexPrefix, stop)) {
    try {
      const std::vector<PackContents> packs = read_segment(key, stop);
      index_.add_segment(name_of(key), packs, condemned);
      for (const PackContents& pack : packs) covered.insert(pack.id);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      damaged.push_back(key);
    }
  }
  for (const auto& [id, info] : stored_packs(stop)) {
    if (covered.contains(id)) continue;
    try {
      index_.add_pack(read_pack(id, info.size, stop), false,
                      condemned.contains(id) ? PackState::condemned : PackState::usable);
    } catch (const Error& error) {
      // Neither a segment nor a trailer: nothing can be read from it; check names it, prune removes
      // it.
      if (!is_damage(error)) throw;
    }
  }
  return damaged;
}

void RepositoryImpl::sync_index() {
  const std::set<PackId> condemned = condemned_packs(nullptr, {});
  const std::set<std::string> known = index_.segments();
  std::set<std::string> stored;
  for (const std::string& key : keys_below(kIndexPrefix)) stored.insert(name_of(key));
  bool whole = std::includes(stored.begin(), stored.end(), known.begin(), known.end()) &&
               !(known.empty() && index_.packs().empty());
  for (const std::string& name : stored) {
    if (!whole || known.contains(name)) continue;
    try {
      index_.add_segment(name, read_segment(cat(kIndexPrefix, name), {}), condemned);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      whole = false;
    }
  }
  if (!whole) load_everything(condemned, {});
  compare_packs(condemned, {});
}

void RepositoryImpl::rescan(util::Task& task) {
  const std::scoped_lock maintenance(maintenance_);
  const std::unique_lock no_begin(rescanning_);
  if (sessions_.any()) {
    throw Error(ErrorCode::conflict, cat("an artifact is being written to ", store_->describe()),
                "wait until it has finished, then rescan");
  }
  const std::set<PackId> condemned = condemned_packs(nullptr, task.stop());
  const std::vector<std::string> damaged = load_everything(condemned, task.stop());
  compare_packs(condemned, task.stop());
  if (!ownership_) return;
  // What only damaged segments listed is listed again, and they can go.
  require_writable();
  list_unlisted_packs({}, task.stop());
  for (const std::string& key : damaged) {
    store_->remove(key);
    task.warn(cat(key, " was damaged; its packs are listed anew"));
  }
}

}  // namespace dbbackup::repository
