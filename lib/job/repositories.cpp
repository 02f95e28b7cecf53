#include "job/repositories.hpp"

#include "job/rebuild.hpp"
#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::Error;
using util::ErrorCode;

namespace {
storage::StoreOptions store_options(const catalog::Options& plain, const catalog::Options& secret) {
  storage::StoreOptions all(plain.begin(), plain.end());
  all.insert(all.end(), secret.begin(), secret.end());
  return all;
}

// Opening a folder has proved it already.
void prove(storage::ObjectStore& store, const std::string& url) {
  const std::string scheme = url.substr(0, url.find(':'));
  if (scheme != "file") storage::prove_store(store, scheme);
}
}  // namespace

Repositories::Repositories(catalog::Catalog& catalog, crypto::Secret daemon_key, Options options,
                           const util::Clock& clock)
    : catalog_(catalog),
      daemon_key_(std::move(daemon_key)),
      options_(std::move(options)),
      clock_(clock) {}

repository::Settings Repositories::settings(const std::string& index_name) const {
  repository::Settings settings;
  settings.index_file = options_.index_folder / (index_name + ".db");
  settings.owner = options_.daemon_id;
  settings.session = options_.session;
  settings.seal_workers = options_.seal_workers;
  settings.memory_bytes = options_.memory_bytes;
  settings.maintenance_rate = options_.maintenance_rate;
  return settings;
}

// Opening may take as long as a store's server likes; meanwhile only those wait who want the same
// repository.
std::shared_ptr<repository::Repository> Repositories::get(const std::string& name) {
  std::shared_ptr<std::mutex> gate;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto it = open_.find(name); it != open_.end()) return it->second;
    std::shared_ptr<std::mutex>& known = gates_[name];
    if (!known) known = std::make_shared<std::mutex>();
    gate = known;
  }
  const std::scoped_lock one_at_a_time(*gate);
  std::uint64_t forgotten = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto it = open_.find(name); it != open_.end()) return it->second;
    forgotten = forgotten_;
  }
  std::shared_ptr<repository::Repository> opened = open(name);
  const std::scoped_lock lock(mutex_);
  // What was forgotten meanwhile may have been this one, whose settings are then old.
  if (forgotten == forgotten_) open_[name] = opened;
  return opened;
}

std::shared_ptr<repository::Repository> Repositories::open(const std::string& name) const {
  const catalog::Repository record = catalog_.repository(name);
  try {
    auto store = storage::open_store(record.url,
                                     store_options(record.options, catalog_.secret_options(name)),
                                     storage::StoreMode::existing);
    if (!repository::Repository::exists(*store)) {
      throw Error(ErrorCode::not_found, util::cat("there is no repository at ", store->describe()),
                  "was it moved, or is its disk not mounted?");
    }
    const repository::Unlock unlock{.daemon_key = daemon_key_};
    std::shared_ptr<repository::Repository> opened = repository::Repository::open(
        std::move(store), unlock, settings(record.repository_id), clock_);
    if (opened->id() != record.repository_id) {
      throw Error(ErrorCode::verification_failed,
                  util::cat("the store holds repository ", opened->id(), ", not ",
                            record.repository_id, " as recorded"),
                  "another repository was put in its place; add it under a name of its own");
    }
    return opened;
  } catch (const Error& error) {
    throw error.with_context(util::cat("repository ", name));
  }
}

std::optional<std::string> Repositories::add(catalog::Repository record,
                                             const catalog::Options& secret_options,
                                             const crypto::Secret& passphrase, bool take_over,
                                             const crypto::Secret& recovery) {
  catalog_.require_new_repository(record.name);  // before anything is made that would be orphaned
  auto store = storage::open_store(record.url, store_options(record.options, secret_options),
                                   storage::StoreMode::create);
  prove(*store, record.url);
  std::optional<std::string> recovery_key;
  if (repository::Repository::exists(*store)) {
    // Read first: only whoever holds a key may take it over, and one that this daemon has already
    // must keep its fence.
    const repository::Unlock unlock{
        .daemon_key = daemon_key_, .passphrase = passphrase, .recovery_key = recovery};
    repository::Settings reading = settings("");
    reading.index_file.clear();
    reading.writable = false;
    record.repository_id =
        repository::Repository::open(
            storage::open_store(record.url, store_options(record.options, secret_options),
                                storage::StoreMode::existing),
            unlock, reading, clock_)
            ->id();
    for (const catalog::Repository& known : catalog_.repositories()) {
      if (known.repository_id == record.repository_id) {
        throw Error(ErrorCode::already_exists,
                    util::cat("this repository is known already as ", known.name));
      }
    }
    if (take_over) repository::Repository::take_over(*store, options_.daemon_id, clock_);
    const auto opened = repository::Repository::open(std::move(store), unlock,
                                                     settings(record.repository_id), clock_);
    if (!passphrase.empty() || !recovery.empty()) opened->add_daemon_key(daemon_key_);
    note_needs_rebuild(catalog_, record.repository_id);
  } else {
    const repository::Created created =
        repository::Repository::create(*store, daemon_key_, passphrase, clock_);
    record.repository_id = created.repository_id;
    recovery_key = created.recovery_key;
  }
  catalog_.add_repository(record, secret_options);
  return recovery_key;
}

void Repositories::update(const catalog::Repository& record,
                          const catalog::Options& secret_options) {
  auto store = storage::open_store(record.url, store_options(record.options, secret_options),
                                   storage::StoreMode::existing);
  prove(*store, record.url);
  repository::Settings reading = settings("");
  reading.index_file.clear();
  reading.writable = false;
  const repository::Unlock unlock{.daemon_key = daemon_key_};
  const std::string found =
      repository::Repository::open(std::move(store), unlock, reading, clock_)->id();
  if (found != record.repository_id) {
    throw Error(ErrorCode::verification_failed,
                util::cat("there is repository ", found, ", not ", record.name, "'s ",
                          record.repository_id),
                "add another repository under a name of its own");
  }
  catalog_.update_repository(record, secret_options);
  forget(record.name);
}

void Repositories::take_over(const std::string& name) {
  const catalog::Repository record = catalog_.repository(name);
  const auto store =
      storage::open_store(record.url, store_options(record.options, catalog_.secret_options(name)),
                          storage::StoreMode::existing);
  repository::Repository::take_over(*store, options_.daemon_id, clock_);
  forget(name);
}

void Repositories::forget(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  open_.erase(name);
  ++forgotten_;
}

}  // namespace dbbackup::job
