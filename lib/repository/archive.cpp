// One artifact as one file (FORMAT.md section 11): a repository whose store is a file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "repository/read_ahead.hpp"
#include "repository/repository_impl.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using crypto::Secret;
using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kArchiveMagic = "dbkARCH1";
constexpr std::size_t kArchiveHeaderBytes = 16;
constexpr std::size_t kFrameHeaderBytes = 16;
constexpr std::size_t kMaxKeyBytes = 256;
constexpr std::string_view kSourceSlotPrefix = "source/keys/";

Bytes archive_header() {
  Bytes header = util::to_bytes(kArchiveMagic);
  util::append_u32(header, kFormatVersion);
  util::append_u32(header, 0);
  return header;
}

// An archive while it is written: under a temporary name that goes when finish() is not reached.
class ArchiveSink {
 public:
  explicit ArchiveSink(const fs::path& file) : file_(fs::absolute(file)) {
    temporary_ = (file_.parent_path() / (".tmp-" + file_.filename().string() + "-XXXXXX")).string();
    fd_ = util::UniqueFd(::mkostemp(temporary_.data(), O_CLOEXEC));  // mode 0600
    if (!fd_.valid()) throw util::system_error(cat("cannot create ", file_.string()), errno);
    util::write_all(fd_.get(), archive_header(), file_.string());
  }
  ~ArchiveSink() {
    if (!finished_) ::unlink(temporary_.c_str());
  }
  ArchiveSink(const ArchiveSink&) = delete;
  ArchiveSink& operator=(const ArchiveSink&) = delete;

  void put(const std::string& key, ByteView content) {
    Bytes frame;
    util::append_u16(frame, static_cast<std::uint16_t>(key.size()));
    frame.resize(8);
    util::append_u64(frame, content.size());
    frame.insert(frame.end(), key.begin(), key.end());
    util::write_all(fd_.get(), frame, file_.string());
    util::write_all(fd_.get(), content, file_.string());
  }

  void finish() {
    if (::fsync(fd_.get()) != 0) {
      throw util::system_error(cat("cannot sync ", file_.string()), errno);
    }
    if (::rename(temporary_.c_str(), file_.c_str()) != 0) {
      throw util::system_error(cat("cannot rename to ", file_.string()), errno);
    }
    finished_ = true;
    util::fsync_folder(file_.parent_path());
  }

 private:
  const fs::path file_;
  std::string temporary_;
  util::UniqueFd fd_;
  bool finished_ = false;
};

// An archive as a store that can only be read. The objects' places are found once, when it is
// opened.
class ArchiveStore final : public storage::ObjectStore {
 public:
  explicit ArchiveStore(const fs::path& file)
      : path_(file.string()), fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!fd_.valid()) throw util::system_error(cat("cannot open ", path_), errno);
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) {
      throw util::system_error(cat("cannot look at ", path_), errno);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
    scan();
  }

  const std::string& last_key() const { return last_key_; }

  void put(const std::string&, ByteView, std::stop_token) override { throw read_only(); }
  bool put_new(const std::string&, ByteView, std::stop_token) override { throw read_only(); }
  void remove(const std::string&, std::stop_token) override { throw read_only(); }

  Bytes get(const std::string& key, std::optional<storage::Range> range, std::stop_token) override {
    const auto at = objects_.find(key);
    if (at == objects_.end()) throw Error(ErrorCode::not_found, cat(path_, " has no ", key));
    const storage::Range part = range.value_or(storage::Range{0, at->second.length});
    if (part.offset > at->second.length || part.length > at->second.length - part.offset) {
      throw Error(ErrorCode::io, cat(key, " in ", path_, " is shorter than promised"));
    }
    return read(at->second.offset + part.offset, part.length);
  }

  std::optional<storage::ObjectInfo> stat(const std::string& key, std::stop_token) override {
    const auto at = objects_.find(key);
    if (at == objects_.end()) return std::nullopt;
    return storage::ObjectInfo{key, at->second.length, {}};
  }

  void list(const std::string& prefix, const std::function<void(const storage::ObjectInfo&)>& each,
            std::stop_token) override {
    for (auto at = objects_.lower_bound(prefix);
         at != objects_.end() && at->first.starts_with(prefix); ++at) {
      each({at->first, at->second.length, {}});
    }
  }

  std::string describe() const override { return path_; }

 private:
  Error read_only() const { return {ErrorCode::internal, cat(path_, " is read-only")}; }
  Error truncated() const {
    return {ErrorCode::verification_failed, cat(path_, ": truncated at byte ", size_)};
  }

  Bytes read(std::uint64_t offset, std::uint64_t length) const {
    if (offset > size_ || length > size_ - offset) throw truncated();
    Bytes content(length);
    std::size_t done = 0;
    while (done < content.size()) {
      const ssize_t got = ::pread(fd_.get(), content.data() + done, content.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw util::system_error(cat("cannot read ", path_), errno);
      if (got == 0) throw truncated();
      done += static_cast<std::size_t>(got);
    }
    return content;
  }

  void scan() {
    if (read(0, kArchiveHeaderBytes) != archive_header()) {
      throw Error(ErrorCode::verification_failed, cat(path_, ": not an archive of this version"));
    }
    for (std::uint64_t at = kArchiveHeaderBytes; at < size_;) {
      const Bytes header = read(at, kFrameHeaderBytes);
      const std::uint64_t key_bytes = util::read_u16(header);
      const std::uint64_t length = util::read_u64(ByteView(header).subspan(8));
      const bool padded = std::all_of(header.begin() + 2, header.begin() + 8,
                                      [](std::uint8_t byte) { return byte == 0; });
      if (!padded || key_bytes == 0 || key_bytes > kMaxKeyBytes) {
        throw Error(ErrorCode::verification_failed, cat(path_, ": damaged at byte ", at));
      }
      const Bytes key = read(at + kFrameHeaderBytes, key_bytes);
      const std::uint64_t content = at + kFrameHeaderBytes + key_bytes;
      if (length > size_ - content) throw truncated();
      last_key_ = std::string(util::as_text(key));
      if (!objects_.try_emplace(last_key_, storage::Range{content, length}).second) {
        throw Error(ErrorCode::verification_failed, cat(path_, ": damaged at byte ", at));
      }
      at = content + length;
    }
  }

  const std::string path_;
  const util::UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::map<std::string, storage::Range> objects_;
  std::string last_key_;
};

// The archive's master key by its slot for those who can open the repository it was made from.
std::optional<Secret> open_with_repository(storage::ObjectStore& store, const std::string& id,
                                           const Secret& archive_key) {
  std::optional<Secret> master;
  store.list(std::string(kSlotPrefix), [&](const storage::ObjectInfo& info) {
    const Slot slot = parse_slot(store.get(info.key));
    if (slot.kind == kRepositorySlot && !master) {
      master = open_slot(id, name_of(info.key), slot, archive_key);
    }
  });
  return master;
}

// `own` are the keys of the repository that asks, when one does: it opens its own archives without
// being told anything.
Secret archive_master(storage::ObjectStore& store, const Descriptor& descriptor,
                      const Unlock& unlock, const Keys* own) {
  if (own != nullptr && own->repository_id == descriptor.source) {
    if (auto master = open_with_repository(store, descriptor.id, own->archive)) return *master;
  }
  try {
    const Secret source_master = unlock_master(store, kSourceSlotPrefix, descriptor.source, unlock);
    const Keys source(descriptor.source, source_master);
    if (auto master = open_with_repository(store, descriptor.id, source.archive)) return *master;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_authorised) throw;
  }
  return unlock_master(store, kSlotPrefix, descriptor.id, unlock);
}

// Everything an open archive stands on.
struct Archive {
  ArchiveStore store;
  std::optional<Keys> keys;
  std::optional<LocalIndex> index;
  std::optional<Manifest> manifest;

  explicit Archive(const fs::path& file) : store(file) {}
  ChunkSource source() { return {store, *keys, *index}; }
};

void read_contents(Archive& archive) {
  const Keys& keys = *archive.keys;
  archive.store.list(std::string(kIndexPrefix),
                     [&](const storage::ObjectInfo& info) {
                       archive.index->add_segment(
                           name_of(info.key), decode_segment(open_object(
                                                  keys.metadata, kIndexMagic, keys.repository_id,
                                                  info.key, archive.store.get(info.key, {}, {}))));
                     },
                     {});
  const std::string& key = archive.store.last_key();
  const Bytes content = open_object(keys.metadata, kManifestMagic, keys.repository_id, key,
                                    archive.store.get(key, {}, {}));
  const util::json::Value value = util::json::parse(util::as_text(content));
  if (!value.is_object()) throw Error(ErrorCode::verification_failed, "malformed manifest");
  archive.manifest = decode_manifest(value.get_object());
}

std::shared_ptr<Archive> open_archive_file(const fs::path& file, const Unlock& unlock,
                                           const Keys* own) {
  auto archive = std::make_shared<Archive>(file);
  if (!archive->store.last_key().starts_with(kManifestPrefix)) {
    throw Error(ErrorCode::verification_failed,
                cat(file.string(), ": truncated: it does not end with a manifest"));
  }
  try {
    const Descriptor descriptor =
        decode_descriptor(archive->store.get(std::string(kConfigKey), {}, {}));
    archive->keys.emplace(descriptor.id, archive_master(archive->store, descriptor, unlock, own));
    archive->index.emplace(std::string(), descriptor.id);
    read_contents(*archive);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) {
      throw Error(ErrorCode::verification_failed, error.message());
    }
    if (error.code() == ErrorCode::not_authorised) throw;
    throw error.with_context(file.string());
  }
  return archive;
}

// Sends every chunk of an artifact through another repository's pipeline, cut as it is. Returns the
// manifest of the copy.
Manifest copy_streams(const ChunkSource& source, const Manifest& original, const Keys& target,
                      SealPipeline& pipeline, util::Task& task) {
  Manifest copy = original;
  copy.repository_id = target.repository_id;
  task.progress().bytes_total += original.source_bytes;
  task.progress().streams_total += original.streams.size();
  for (std::size_t i = 0; i < original.streams.size(); ++i) {
    const std::vector<ChunkRef> chunks = chunks_of_stream(source, original, i, task.stop());
    const auto arrived = std::make_shared<Receiver>();
    read_in_order(source, chunks, {}, task.stop(),
                  [&](std::uint64_t index, ByteView plain, const std::optional<Problem>& problem) {
                    if (problem) throw problem->as_error();
                    Bytes chunk = pipeline.take_buffer();
                    chunk.assign(plain.begin(), plain.end());
                    task.progress().bytes += plain.size();
                    pipeline.submit(std::move(chunk), arrived, index);
                  });
    pipeline.wait(*arrived);
    const ChunkRef root = pipeline.store_chunk_lists(arrived->take());
    copy.chunk_lists[i] = util::to_hex(root.id);
    const StreamKind kind = original.streams[i].kind;
    const bool has_rows = kind == StreamKind::lines || kind == StreamKind::bson;
    if (!has_rows) copy.streams[i].hash = copy.chunk_lists[i];
    ++task.progress().streams_done;
  }
  copy.root_hash = root_hash(target, copy);
  return copy;
}

// Registers a pipeline for as long as it works.
class SessionGuard {
 public:
  SessionGuard(Sessions& sessions, const std::shared_ptr<SealPipeline>& pipeline)
      : sessions_(sessions), session_(sessions.begin(pipeline)) {}
  ~SessionGuard() { sessions_.end(session_); }
  SessionGuard(const SessionGuard&) = delete;
  SessionGuard& operator=(const SessionGuard&) = delete;

 private:
  Sessions& sessions_;
  const Sessions::Handle session_;
};

}  // namespace

void RepositoryImpl::export_archive(const std::string& artifact_id, const fs::path& file,
                                    const Secret& passphrase, util::Task& task) {
  const Manifest original = require_manifest(artifact_id);
  const util::TimePoint now = clock_.now();
  const Keys keys(ids_.next(), crypto::random_key());
  ArchiveSink sink(file);
  sink.put(std::string(kConfigKey), encode_descriptor({keys.repository_id, now, id()}));
  const auto put_slot = [&](std::string_view kind, const Secret& secret) {
    const std::string slot = ids_.next();
    sink.put(cat(kSlotPrefix, slot),
             make_slot(keys.repository_id, slot, kind, now, secret, keys.master));
  };
  put_slot(kRepositorySlot, keys_.archive);
  if (!passphrase.empty()) put_slot("passphrase", passphrase);
  for (const std::string& key : keys_below(kSlotPrefix, task.stop())) {
    sink.put(cat("source/", key), store_->get(key, {}, task.stop()));
  }
  LocalIndex index({}, keys.repository_id);
  Manifest manifest;
  {
    // Packs come from the uploader's thread, the last segment from finish(): never two at once.
    SealPipeline pipeline(
        keys, index, ids_,
        [&](const std::string& key, ByteView content, const std::stop_token&) {
          sink.put(key, content);
        },
        {.workers = settings_.seal_workers,
         .memory_bytes = settings_.memory_bytes,
         .pack_bytes = settings_.pack_bytes,
         .compression_level = settings_.compression_level},
        task.stop());
    manifest = copy_streams(source(), original, keys, pipeline, task);
    pipeline.finish();
    manifest.added_bytes = pipeline.added_bytes();
  }
  const std::string key = cat(kManifestPrefix, manifest.id);
  const std::string text = util::json::write(encode_manifest(manifest));
  sink.put(key, seal_object(keys.metadata, kManifestMagic, keys.repository_id, key,
                            util::as_bytes(text)));
  task.check();
  sink.finish();
}

Manifest RepositoryImpl::import_archive(const fs::path& file, const Unlock& unlock,
                                        util::Task& task) {
  require_writable();
  const std::shared_ptr<Archive> archive = open_archive_file(file, unlock, &keys_);
  const std::string& artifact = archive->manifest->id;
  if (store_->stat(cat(kManifestPrefix, artifact))) {
    throw Error(ErrorCode::already_exists,
                cat("artifact ", artifact, " is in ", store_->describe(), " already"));
  }
  const std::shared_ptr<SealPipeline> pipeline = make_pipeline(task.stop());
  std::optional<SessionGuard> session;
  {
    const std::shared_lock not_while_rescanning(rescanning_);
    session.emplace(sessions_, pipeline);
  }
  Manifest copy = copy_streams(archive->source(), *archive->manifest, keys_, *pipeline, task);
  return commit_manifest(*pipeline, std::move(copy), task).manifest;
}

std::unique_ptr<ArtifactReader> Repository::open_archive(const fs::path& file,
                                                         const Unlock& unlock) {
  const std::shared_ptr<Archive> archive = open_archive_file(file, unlock, nullptr);
  return make_artifact_reader(archive->source(), *archive->manifest, archive);
}

}  // namespace dbbackup::repository
