// A place for immutable objects under slash-separated keys: the only thing a repository knows of
// disks and clouds.
//
// What every store guarantees (tests/contract/object_store_contract checks each line):
//   - put() makes an object visible whole or not at all, and it is durable when put() returns;
//   putting the same bytes again
//     is fine; putting other bytes under an existing key replaces them atomically.
//   - put_new() creates or reports that the key exists; of two callers at once exactly one creates.
//   - get() after put() sees what was put; stat() and list() agree with it.
//   - remove() of an absent key is fine. list() may show objects in any order and does not show
//   half-written ones.
//   - Keys are made of [a-z0-9._-] segments joined by '/', none of which begins with a dot;
//   anything else is refused
//     (internal). A key is never also the folder of another key.
//
// Threads: all members are safe from any thread.
// Errors: not_found (get of an absent key), permission_denied, refused (removing a locked object),
// no_space, unavailable, io, cancelled; messages name the store and the key, never a secret.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/bytes.hpp"
#include "util/time.hpp"

namespace dbbackup::storage {

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;  // bytes
  util::TimePoint modified;
};

// Half-open range of bytes; one that ends behind the object is an error (io): the object is shorter
// than promised.
struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct Space {
  std::uint64_t total = 0;  // bytes
  std::uint64_t free = 0;   // bytes this process may still use
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual void put(const std::string& key, util::ByteView content, std::stop_token stop = {}) = 0;
  virtual bool put_new(const std::string& key, util::ByteView content,
                       std::stop_token stop = {}) = 0;
  virtual util::Bytes get(const std::string& key, std::optional<Range> range = {},
                          std::stop_token stop = {}) = 0;
  virtual std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop = {}) = 0;
  // Calls `each` for every object whose key begins with `prefix`.
  virtual void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
                    std::stop_token stop = {}) = 0;
  virtual void remove(const std::string& key, std::stop_token stop = {}) = 0;
  // Empty where the store cannot tell.
  virtual std::optional<Space> space() { return std::nullopt; }
  // How many put() at once serve this store well: 1 where the disk is the limit, more where each
  // waits for a network.
  virtual unsigned parallel_puts() const { return 1; }
  // Where the store is set up to lock objects (S3: object_lock_days): nobody can remove this one
  // before that many days have passed from now. Nothing elsewhere. A locked object is refused
  // (`refused`) by remove().
  virtual bool locks() const { return false; }
  virtual std::optional<util::TimePoint> locked_until(const std::string& /*key*/,
                                                      std::stop_token /*stop*/ = {}) {
    return std::nullopt;
  }
  virtual void lock(const std::string& /*key*/, std::stop_token /*stop*/ = {}) {}
  // For messages: "file:///var/lib/dbbackup/repository". No secrets.
  virtual std::string describe() const = 0;
};

// Errors: internal, when `key` is not one a store accepts.
void check_key(const std::string& key);

// What opening a store may do to it. An existing store that is not where it was (an unmounted disk)
// must never be taken for an empty one, so only whoever makes a new repository asks for `create`.
enum class StoreMode {
  create,    // makes what is missing and proves that it is writable
  existing,  // unavailable when it is not there
  read,      // as existing; writes nothing, so that a rescue works from read-only media
};

// One object per file below `folder`; the folder is created with mode 0700.
// Errors: as system_error() says, when it cannot be created or is not writable.
std::unique_ptr<ObjectStore> open_local_store(const std::string& folder,
                                              StoreMode mode = StoreMode::create);
// For tests and tools; keeps everything in memory.
std::unique_ptr<ObjectStore> open_memory_store();

// By storage URL: file:///path, s3://bucket/prefix, gs://bucket/prefix,
// azblob://account/container/prefix, sftp://user@host/path. README.md lists their options.
// Errors: usage for a malformed URL, unsupported (with the list of known schemes) for another
// scheme.
using StoreOptions = std::vector<std::pair<std::string, std::string>>;
std::unique_ptr<ObjectStore> open_store(const std::string& url, const StoreOptions& options,
                                        StoreMode mode);
// What open_store() would say about the URL and the names of the options, without touching
// anything.
void check_store_url(const std::string& url, const StoreOptions& options);

// One kind each, for open_store(). Nothing is connected before the first use, except by
// open_sftp_store() with a mode.
std::unique_ptr<ObjectStore> open_s3_store(const std::string& url, const StoreOptions& options);
std::unique_ptr<ObjectStore> open_gcs_store(const std::string& url, const StoreOptions& options);
std::unique_ptr<ObjectStore> open_azure_store(const std::string& url, const StoreOptions& options);
std::unique_ptr<ObjectStore> open_sftp_store(const std::string& url, const StoreOptions& options,
                                             std::optional<StoreMode> mode);

// Proves that a store can do what a repository asks of it: creates a small object of its own, finds
// that it cannot be created twice, reads, lists and removes it.
// Errors: those of the store, each saying which permission it takes; unsupported for a store that
// does not keep its promises.
void prove_store(ObjectStore& store, const std::string& scheme);

}  // namespace dbbackup::storage
