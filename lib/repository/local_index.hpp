// The local chunk index: a SQLite cache of where every chunk lies (FORMAT.md section 7).
//
// Threads: all members are safe from any thread; one connection behind one mutex.
// Owns: the connection. An empty path keeps everything in memory.
// Errors: those of sqlite::Connection.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/cipher.hpp"
#include "repository/format.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::repository {

enum class PackState : std::uint8_t {
  usable = 0,
  condemned = 1,  // prune wants it gone: readers may use it, new artifacts may not
  lost = 2,       // missing or damaged: its chunks are stored anew by whoever has them
};

struct PackRow {
  std::int64_t number = 0;
  PackId id{};
  std::uint64_t size = 0;
  bool listed = false;  // an index segment names it
  PackState state = PackState::usable;
};

struct Location {
  std::int64_t number = 0;  // of the chunk, small and dense: for marking
  std::int64_t pack_number = 0;
  PackId pack{};
  PackState state = PackState::usable;
  PackEntry entry;
};

class LocalIndex {
 public:
  // A file that does not open, or belongs to another repository, is thrown away.
  LocalIndex(const std::string& path, const std::string& repository_id);

  std::optional<Location> find(const ChunkId& id);
  // Whether a new artifact may rely on this chunk.
  bool holds(const ChunkId& id);

  // A chunk with this tag that a new artifact may rely on: what saves hashing content that has not
  // changed.
  std::optional<ChunkId> find_by_tag(const crypto::Tag& tag);
  void remember_tags(const std::vector<std::pair<crypto::Tag, ChunkId>>& tags);

  // Chunks that are elsewhere already are from now on found here, unless this pack is condemned.
  void add_pack(const PackContents& contents, bool listed, PackState state = PackState::usable);
  void remove_packs(const std::vector<PackId>& ids);
  void set_state(const PackId& id, PackState state);
  // Unless it is condemned: that mark must stay.
  void set_lost(const PackId& id);
  // No segment names them any more.
  void set_unlisted(const std::vector<PackId>& ids);
  std::vector<PackRow> packs();

  std::set<std::string> segments();
  // A segment read from the store, some of whose packs may be condemned.
  void add_segment(const std::string& name, const std::vector<PackContents>& packs,
                   const std::set<PackId>& condemned = {});
  // A segment just written, of packs that are here already.
  void note_segment(const std::string& name, const std::vector<PackId>& packs);
  void remove_segment(const std::string& name);
  void clear();

  std::int64_t largest_number();
  void each_chunk(const std::function<void(std::int64_t number, std::int64_t pack_number,
                                           std::uint32_t stored)>& each);

 private:
  void open(const std::string& path, const std::string& repository_id);
  void insert_pack(const PackContents& contents, bool listed, PackState state);
  void run(std::string_view sql, util::ByteView blob);

  std::mutex mutex_;
  std::optional<sqlite::Connection> connection_;
  std::optional<sqlite::Statement> find_;
  std::optional<sqlite::Statement> find_by_tag_;
  std::optional<sqlite::Statement> insert_;
  std::optional<sqlite::Statement> insert_absent_;
};

}  // namespace dbbackup::repository
