// What engines see of a repository: named streams going in, named streams coming out.
//
// A backup writes streams with stable names in a deterministic order, uncompressed, so that equal
// content gives equal bytes and tomorrow's backup shares chunks with today's. Nothing is visible to
// anybody before commit().
//
// Threads: ArtifactWriter and ArtifactReader are safe from any thread; one StreamWriter or
// StreamReader belongs to one thread at a time, except where said. Errors: those of
// storage::ObjectStore; verification_failed for damaged or missing stored data; cancelled.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "util/bytes.hpp"
#include "util/json.hpp"
#include "util/task.hpp"

namespace dbbackup::repository {

enum class StreamKind {
  lines,  // one row per '\n'-ended line
  bson,   // length-prefixed documents
  pages,  // fixed blocks, addressed by number
  bytes,  // anything else
};
std::string_view stream_kind_name(StreamKind kind);
std::optional<StreamKind> stream_kind_from_name(std::string_view name);

// Order-independent: the sum modulo 2^128 of the XXH3-128 of each row's bytes (without the row
// end). Source: xxHash's XXH3_128bits, seed 0. It proves against accidents; against attackers the
// artifact is authenticated.
class RowHash {
 public:
  void add(util::ByteView row);
  void add(const RowHash& other);
  std::uint64_t rows() const { return rows_; }
  std::string hex() const;  // 32 digits, high half first
  bool operator==(const RowHash&) const = default;
  // For rows that are hashed in pieces: adds one row by its XXH3-128.
  void add_digest(std::uint64_t high, std::uint64_t low);
  static std::optional<RowHash> from_hex(std::string_view hex, std::uint64_t rows);

 private:
  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
  std::uint64_t rows_ = 0;
};

// One table (or collection) as it was inside the snapshot: what a drill or a restore compares with.
struct TableProof {
  std::string name;
  RowHash hash;
  bool operator==(const TableProof&) const = default;
};

struct StreamInfo {
  std::string name;  // "data/main.customers"; any UTF-8 without NUL
  StreamKind kind = StreamKind::bytes;
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;  // lines, bson; 0 otherwise
  std::string
      hash;  // lines, bson: RowHash of the rows; otherwise hex of the chunk list's keyed hash
  std::vector<std::string> columns;  // where the engine gave them
  std::uint32_t block_bytes = 0;     // pages
  std::uint64_t chunks = 0;
};

struct StreamOptions {
  std::vector<std::string> columns = {};
  std::uint32_t block_bytes =
      0;  // pages: size of one addressed block, a multiple of the database's page size
};

class StreamWriter {
 public:
  virtual ~StreamWriter() = default;  // without close(): the stream is dropped from the artifact
  // lines, bson: appends; a row may come in several pieces and is complete with end_row(). For
  // `lines` the row's final '\n' is part of what is written before end_row(). bytes: appends.
  virtual void write(util::ByteView content) = 0;
  virtual void end_row() = 0;
  // pages: sets block `number`, in any order; only the last block may be shorter than block_bytes.
  // Writing a block again before close() replaces it.
  virtual void write_block(std::uint64_t number, util::ByteView content) = 0;
  // Waits until everything is sealed and returns what it became.
  virtual StreamInfo close() = 0;
};

// Facts about the source, sealed with the artifact.
struct Summary {
  std::string server_version;
  std::string consistency_kind;      // "snapshot", "locked", "none", ...
  std::string consistency_position;  // engine's own words: LSN, GTID, change counter
  std::uint64_t rows = 0;            // of the tables, as their users count them
  std::vector<TableProof> proof;
  std::vector<std::pair<std::string, std::string>> skipped;  // name, reason: not in it
  std::vector<std::string> warnings;
  std::vector<std::string> suspicions;  // what looked wrong beside the job's artifact before
  util::json::Object engine_data;       // whatever the engine needs again at restore; small
};

// How the reason of a skipped part begins that nobody asked for. Any other reason tells of
// something that was wanted and could not be read: it makes an artifact partial.
inline constexpr std::string_view kNotWanted = "not asked for: ";
using Skipped = std::vector<std::pair<std::string, std::string>>;  // name, reason
inline bool is_partial(const Skipped& skipped) {
  for (const auto& [name, reason] : skipped) {
    if (!reason.starts_with(kNotWanted)) return true;
  }
  return false;
}

class ArtifactWriter {
 public:
  virtual ~ArtifactWriter() =
      default;  // without commit(): abandoned; what was stored is garbage for the next prune
  virtual std::unique_ptr<StreamWriter> open(const std::string& name, StreamKind kind,
                                             const StreamOptions& options = {}) = 0;
};

class StreamReader {
 public:
  virtual ~StreamReader() = default;
  virtual const StreamInfo& info() const = 0;
  virtual std::uint64_t chunk_count() const = 0;
  // Byte offset of a chunk within the stream; chunk_offset(chunk_count()) is the stream's size.
  // Threads: any.
  virtual std::uint64_t chunk_offset(std::uint64_t index) const = 0;
  // Authenticated plaintext of one chunk. Threads: any; this is what parallel readers and random
  // access build on.
  virtual util::Bytes read_chunk(std::uint64_t index, std::stop_token stop) = 0;
  // Calls `take` with the whole stream in order, reading and opening ahead on `workers` threads.
  // `take` runs on the caller's thread. Row-ended kinds are cut at row ends, so every piece holds
  // whole rows.
  virtual void read_all(const std::function<void(std::uint64_t offset, util::ByteView piece)>& take,
                        unsigned workers, util::Task& task) = 0;
};

class ArtifactReader {
 public:
  virtual ~ArtifactReader() = default;
  virtual const std::string& id() const = 0;
  virtual const std::string& engine() const = 0;
  virtual const Summary& summary() const = 0;
  virtual const std::vector<StreamInfo>& streams() const = 0;
  // Errors: not_found.
  virtual std::unique_ptr<StreamReader> open(const std::string& name) = 0;
};

}  // namespace dbbackup::repository
