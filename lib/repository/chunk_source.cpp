#include "repository/chunk_source.hpp"

#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
// 8192 entries per list: four levels hold more chunks than any store.
constexpr unsigned kMaxListLevel = 4;
}  // namespace

Error Problem::as_error() const {
  Error named = error.with_context(object);
  if (error.code() != ErrorCode::verification_failed || !error.hint().empty()) return named;
  return named.with_hint("find out what else is damaged: repository check --read-data");
}

Problem problem_of_read(storage::ObjectStore& store, const std::string& key, const Error& error,
                        std::uint64_t expected_end) {
  if (error.code() == ErrorCode::not_found) {
    return {key, Error(ErrorCode::verification_failed, "missing")};
  }
  if (error.code() == ErrorCode::io) {
    const std::optional<storage::ObjectInfo> info = store.stat(key);
    if (info && info->size < expected_end) {
      return {key, Error(ErrorCode::verification_failed,
                         cat("truncated: ", info->size, " bytes, at least ", expected_end,
                             " are needed"))};
    }
  }
  return {key, error};
}

Problem unknown_chunk(const ChunkId& id) {
  return {cat("chunk ", util::to_hex(id)),
          Error(ErrorCode::verification_failed, "missing: no pack is known to hold it",
                "the packs may hold it all the same: repository rescan")};
}

Bytes ChunkSource::get_records(const PackId& pack, const PackEntry& first, std::uint64_t length,
                               std::stop_token stop) const {
  return store_.get(pack_key(pack), storage::Range{first.offset, length}, std::move(stop));
}

void ChunkSource::read_neighbours(const PackId& pack, std::span<const PackEntry> entries,
                                  bool verify, std::span<Bytes> plain,
                                  std::span<std::optional<Problem>> problems,
                                  std::stop_token stop) const {
  const PackEntry& first = entries.front();
  const std::uint64_t end = std::uint64_t{entries.back().offset} + entries.back().stored;
  Bytes records;
  try {
    records = get_records(pack, first, end - first.offset, stop);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    const Problem problem = problem_of_read(store_, pack_key(pack), error, end);
    for (std::optional<Problem>& each : problems) each = problem;
    if (problem.error.code() == ErrorCode::verification_failed) note_damage(pack);
    return;
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ByteView record =
        ByteView(records).subspan(entries[i].offset - first.offset, entries[i].stored);
    try {
      if (verify) {
        verify_record(keys_, entries[i], record, plain[i]);
      } else {
        open_record(keys_, entries[i], record, plain[i]);
      }
    } catch (const Error& error) {
      problems[i] = {pack_key(pack), error.with_context(cat("chunk at byte ", entries[i].offset))};
      note_damage(pack);
    }
  }
}

void ChunkSource::note_damage(const PackId& pack) const { index_.set_lost(pack); }

Bytes ChunkSource::read(const ChunkId& id, std::stop_token stop) const {
  std::optional<Problem> problem;
  std::optional<Location> location = locate(id);
  // Twice, because prune may have moved the chunk to another pack between the look-up and the read.
  for (int attempt = 0; attempt < 2 && location; ++attempt) {
    Bytes plain;
    problem.reset();
    read_neighbours(location->pack, {&location->entry, 1}, false, {&plain, 1}, {&problem, 1}, stop);
    if (!problem) return plain;
    const std::optional<Location> again = locate(id);
    if (!again || again->pack == location->pack) break;
    location = again;
  }
  throw problem.value_or(unknown_chunk(id)).as_error();
}

namespace {

struct ListWalk {
  const ChunkSource& source;
  std::stop_token stop;
  std::vector<ChunkId>* lists;
  std::vector<ChunkRef> chunks;

  ChunkList read(const ChunkId& id) {
    const Bytes content = source.read(id, stop);
    if (lists != nullptr) lists->push_back(id);
    try {
      return decode_chunk_list(content);
    } catch (const Error& error) {
      throw error.with_context(cat("chunk ", util::to_hex(id)));
    }
  }

  void descend(const ChunkList& list) {
    if (list.level == 0) {
      chunks.insert(chunks.end(), list.entries.begin(), list.entries.end());
      return;
    }
    for (const ChunkRef& entry : list.entries) {
      const ChunkList below = read(entry.id);
      if (below.level + 1 != list.level) {
        throw Error(ErrorCode::verification_failed, "a chunk list has a wrong level");
      }
      descend(below);
    }
  }
};

}  // namespace

std::vector<ChunkRef> load_chunk_lists(const ChunkSource& source, const ChunkId& root,
                                       std::stop_token stop, std::vector<ChunkId>* lists) {
  ListWalk walk{source, std::move(stop), lists, {}};
  const ChunkList top = walk.read(root);
  if (top.level > kMaxListLevel) {
    throw Error(ErrorCode::verification_failed, "a chunk list has an impossible level");
  }
  walk.descend(top);
  return std::move(walk.chunks);
}

}  // namespace dbbackup::repository
