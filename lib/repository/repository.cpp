#include "repository/repository.hpp"

#include <algorithm>

#include "repository/repository_impl.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using crypto::Secret;
using util::Bytes;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::size_t kMaxPackBytes = 256U << 20U;

std::string key_of(std::string_view prefix, std::string_view name) { return cat(prefix, name); }

// Errors: not_found, when the store holds no repository.
Descriptor read_descriptor(storage::ObjectStore& store) {
  const std::string key(kConfigKey);
  if (!store.stat(key)) {
    throw Error(ErrorCode::not_found, cat(store.describe(), " holds no repository"),
                "make one there first: repository add");
  }
  try {
    return decode_descriptor(store.get(key));
  } catch (const Error& error) {
    throw error.with_context(cat(store.describe(), ": ", key));
  }
}

}  // namespace

// --- Sessions

Sessions::Handle Sessions::begin(std::shared_ptr<SealPipeline> pipeline) {
  const std::scoped_lock lock(mutex_);
  return active_.insert(active_.end(), {epoch_, std::move(pipeline)});
}

void Sessions::end(Handle session) {
  std::shared_ptr<SealPipeline> last;  // destroyed without the lock: it joins threads
  const std::scoped_lock lock(mutex_);
  last = std::move(session->pipeline);
  active_.erase(session);
}

bool Sessions::any() const {
  const std::scoped_lock lock(mutex_);
  return !active_.empty();
}

std::uint64_t Sessions::condemned() {
  const std::scoped_lock lock(mutex_);
  return ++epoch_;
}

bool Sessions::all_began_after(std::uint64_t condemnation) const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(active_.begin(), active_.end(),
                     [&](const Session& session) { return session.epoch >= condemnation; });
}

bool Sessions::owns(const PackId& pack) const {
  const std::scoped_lock lock(mutex_);
  return std::any_of(active_.begin(), active_.end(), [&](const Session& session) {
    return session.pipeline->own_packs().contains(pack);
  });
}

// --- creating and opening

bool Repository::exists(storage::ObjectStore& store) {
  return store.stat(std::string(kConfigKey)).has_value();
}

Created Repository::create(storage::ObjectStore& store, const Secret& daemon_key,
                           const Secret& passphrase, const util::Clock& clock) {
  if (exists(store)) {
    throw Error(ErrorCode::already_exists, cat(store.describe(), " holds a repository already"));
  }
  util::UlidSource ids(clock);
  const util::TimePoint now = clock.now();
  const Descriptor descriptor{.id = ids.next(), .created = now, .source = {}};
  const Secret master = crypto::random_key();
  const Secret recovery = crypto::random_key();
  const auto put_slot = [&](SlotKind kind, const Secret& secret) {
    const std::string slot = ids.next();
    store.put(key_of(kSlotPrefix, slot),
              make_slot(descriptor.id, slot, slot_kind_name(kind), now, secret, master));
  };
  put_slot(SlotKind::daemon, daemon_key);
  put_slot(SlotKind::recovery, recovery);
  if (!passphrase.empty()) put_slot(SlotKind::passphrase, passphrase);
  // Last, and the one that decides: a crash before it leaves no repository, and of two at once one
  // wins.
  if (!store.put_new(std::string(kConfigKey), encode_descriptor(descriptor))) {
    throw Error(ErrorCode::already_exists, cat(store.describe(), " holds a repository already"));
  }
  return {descriptor.id, crypto::to_printable_key(recovery)};
}

std::unique_ptr<Repository> Repository::open(std::unique_ptr<storage::ObjectStore> store,
                                             const Unlock& unlock, const Settings& settings,
                                             const util::Clock& clock) {
  const Descriptor descriptor = read_descriptor(*store);
  const Secret master = unlock_master(*store, kSlotPrefix, descriptor.id, unlock);
  auto repository = std::make_unique<RepositoryImpl>(std::move(store), Keys(descriptor.id, master),
                                                     settings, clock);
  repository->sync_index();
  return repository;
}

void Repository::take_over(storage::ObjectStore& store, const std::string& owner,
                           const util::Clock& clock) {
  Ownership::take_over(store, owner, clock);
}

RepositoryImpl::RepositoryImpl(std::unique_ptr<storage::ObjectStore> store, Keys keys,
                               const Settings& settings, const util::Clock& clock)
    : store_(std::move(store)),
      keys_(std::move(keys)),
      settings_(settings),
      clock_(clock),
      gear_(keys_.gear),
      ids_(clock),
      index_(settings.index_file.string(), keys_.repository_id) {
  if (settings_.pack_bytes > kMaxPackBytes) {
    throw Error(ErrorCode::usage, cat("packs of ", settings_.pack_bytes, " bytes are too large"));
  }
  if (settings_.writable) ownership_.emplace(*store_, settings_.owner, settings_.session, clock_);
}

void RepositoryImpl::require_writable(const std::stop_token& stop) {
  if (!ownership_) {
    throw Error(ErrorCode::conflict, cat(store_->describe(), " was opened for reading only"));
  }
  ownership_->require(stop);
}

// --- writing

std::shared_ptr<SealPipeline> RepositoryImpl::make_pipeline(const std::stop_token& stop) {
  return std::make_shared<SealPipeline>(
      keys_, index_, ids_,
      [this](const std::string& key, util::ByteView content, std::stop_token stopped) {
        store_->put(key, content, stopped);
        if (key.starts_with(kPackPrefix)) store_->lock(key, stopped);
      },
      SealPipeline::Options{.workers = settings_.seal_workers,
                            .memory_bytes = settings_.memory_bytes,
                            .pack_bytes = settings_.pack_bytes,
                            .compression_level = settings_.compression_level,
                            .uploads = store_->parallel_puts()},
      stop);
}

std::unique_ptr<ArtifactWriter> RepositoryImpl::begin(const ArtifactIdentity& identity,
                                                      util::Task& task) {
  require_writable(task.stop());
  if (!util::is_ulid(identity.id)) {
    throw Error(ErrorCode::internal, cat("'", util::printable(identity.id), "' is not an id"));
  }
  const std::shared_lock not_while_rescanning(rescanning_);
  std::shared_ptr<SealPipeline> pipeline = make_pipeline(task.stop());
  const Sessions::Handle session = sessions_.begin(pipeline);
  return std::make_unique<ArtifactWriterImpl>(identity, keys_, gear_, std::move(pipeline), task,
                                              [this, session] { sessions_.end(session); });
}

Committed RepositoryImpl::commit(ArtifactWriter& writer, const Summary& summary) {
  auto* mine = dynamic_cast<ArtifactWriterImpl*>(&writer);
  if (mine == nullptr) throw Error(ErrorCode::internal, "commit of a foreign writer");
  mine->task().check();
  return commit_manifest(mine->pipeline(), mine->seal(summary, clock_.now()), mine->task());
}

Committed RepositoryImpl::commit_manifest(SealPipeline& pipeline, Manifest manifest,
                                          util::Task& task) {
  pipeline.finish();
  list_unlisted_packs({}, task.stop());
  manifest.added_bytes = pipeline.added_bytes();
  const std::string key = key_of(kManifestPrefix, manifest.id);
  const std::string text = util::json::write(encode_manifest(manifest));
  const Bytes object =
      seal_object(keys_.metadata, kManifestMagic, keys_.repository_id, key, util::as_bytes(text));
  task.check();
  require_writable(task.stop());
  util::kill_point("backup.before_manifest");
  if (!store_->put_new(key, object, task.stop())) {
    throw Error(ErrorCode::already_exists, cat("artifact ", manifest.id, " exists already"));
  }
  util::kill_point("backup.after_manifest");
  try {
    // A process that was stopped between the look and the write has lost the repository meanwhile,
    // and whoever has it now may have pruned what this manifest needs.
    require_writable();
  } catch (const Error& error) {
    // That the store cannot be asked just now says nothing against what is already sealed.
    if (error.code() == ErrorCode::conflict) {
      store_->remove(key);
      throw;
    }
  }
  try {
    store_->lock(key);
  } catch (const Error& error) {  // the artifact is there, and the next prune tries again
    task.warn(error.message());
  }
  const std::uint64_t added = manifest.added_bytes;
  return {std::move(manifest), added};
}

// --- reading

std::vector<std::string> RepositoryImpl::keys_below(std::string_view prefix, std::stop_token stop) {
  std::vector<std::string> found;
  store_->list(
      std::string(prefix), [&](const storage::ObjectInfo& info) { found.push_back(info.key); },
      std::move(stop));
  std::sort(found.begin(), found.end());
  return found;
}

Manifest RepositoryImpl::open_manifest(const std::string& key, util::ByteView object) const {
  try {
    const Bytes content =
        open_object(keys_.metadata, kManifestMagic, keys_.repository_id, key, object);
    const util::json::Value value = util::json::parse(util::as_text(content));
    if (!value.is_object()) throw Error(ErrorCode::verification_failed, "not a JSON object");
    Manifest manifest = decode_manifest(value.get_object());
    if (manifest.id != name_of(key) || manifest.repository_id != keys_.repository_id) {
      throw Error(ErrorCode::verification_failed, "belongs to another artifact");
    }
    return manifest;
  } catch (const Error& error) {
    throw error.with_context(key);
  }
}

std::vector<Manifest> RepositoryImpl::list(std::stop_token stop, std::vector<Damage>* damaged) {
  std::vector<Manifest> manifests;
  for (const std::string& key : keys_below(kManifestPrefix, stop)) {
    try {
      manifests.push_back(open_manifest(key, store_->get(key, {}, stop)));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) continue;  // removed meanwhile
      if (error.code() != ErrorCode::verification_failed || damaged == nullptr) throw;
      damaged->push_back({key, error.message(), {name_of(key)}});
    }
  }
  return manifests;
}

std::optional<Manifest> RepositoryImpl::find(const std::string& artifact_id, std::stop_token stop) {
  if (!util::is_ulid(artifact_id)) return std::nullopt;
  const std::string key = key_of(kManifestPrefix, artifact_id);
  if (!store_->stat(key, stop)) return std::nullopt;
  return open_manifest(key, store_->get(key, {}, stop));
}

Manifest RepositoryImpl::require_manifest(const std::string& artifact_id, std::stop_token stop) {
  std::optional<Manifest> manifest = find(artifact_id, std::move(stop));
  if (manifest) return std::move(*manifest);
  throw Error(ErrorCode::not_found,
              cat("no artifact ", util::printable(artifact_id), " in ", store_->describe()));
}

std::unique_ptr<ArtifactReader> RepositoryImpl::read(const std::string& artifact_id,
                                                     std::stop_token stop) {
  return make_artifact_reader(source(), require_manifest(artifact_id, std::move(stop)), nullptr);
}

void RepositoryImpl::remove(const std::string& artifact_id) {
  require_writable();
  const std::string key = key_of(kManifestPrefix, artifact_id);
  if (!util::is_ulid(artifact_id) || !store_->stat(key)) {
    throw Error(ErrorCode::not_found,
                cat("no artifact ", util::printable(artifact_id), " in ", store_->describe()));
  }
  store_->remove(key);
}

Repository::Usage RepositoryImpl::usage() {
  Usage usage;
  store_->list("", [&](const storage::ObjectInfo& info) {
    usage.stored_bytes += info.size;
    if (info.key.starts_with(kManifestPrefix)) ++usage.artifacts;
  });
  return usage;
}

// --- key slots

std::vector<KeySlot> RepositoryImpl::key_slots() {
  std::vector<KeySlot> slots;
  for (const std::string& key : keys_below(kSlotPrefix)) {
    try {
      const Slot slot = parse_slot(store_->get(key));
      for (const SlotKind kind : {SlotKind::daemon, SlotKind::passphrase, SlotKind::recovery}) {
        if (slot.kind == slot_kind_name(kind)) slots.push_back({name_of(key), kind, slot.created});
      }
    } catch (const Error& error) {
      throw error.with_context(key);
    }
  }
  return slots;
}

KeySlot RepositoryImpl::add_slot(SlotKind kind, const Secret& secret) {
  require_writable();
  if (secret.empty()) throw Error(ErrorCode::usage, cat("the ", slot_kind_name(kind), " is empty"));
  const KeySlot slot{ids_.next(), kind, clock_.now()};
  store_->put(key_of(kSlotPrefix, slot.id),
              make_slot(keys_.repository_id, slot.id, slot_kind_name(kind), slot.created, secret,
                        keys_.master));
  return slot;
}

KeySlot RepositoryImpl::add_passphrase(const Secret& passphrase) {
  return add_slot(SlotKind::passphrase, passphrase);
}

KeySlot RepositoryImpl::add_daemon_key(const Secret& daemon_key) {
  return add_slot(SlotKind::daemon, daemon_key);
}

std::string RepositoryImpl::new_recovery_key() {
  const Secret key = crypto::random_key();
  add_slot(SlotKind::recovery, key);
  return crypto::to_printable_key(key);
}

void RepositoryImpl::remove_key_slot(const std::string& slot_id) {
  require_writable();
  const std::vector<std::string> slots = keys_below(kSlotPrefix);
  const std::string key = key_of(kSlotPrefix, slot_id);
  if (std::find(slots.begin(), slots.end(), key) == slots.end()) {
    throw Error(ErrorCode::not_found, cat("no key slot ", util::printable(slot_id)));
  }
  if (slots.size() == 1) {
    throw Error(ErrorCode::refused, cat("key slot ", slot_id, " is the last one"),
                "add another one first: without any the repository can never be opened again");
  }
  store_->remove(key);
}

}  // namespace dbbackup::repository
