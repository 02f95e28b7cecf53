// A repository in memory (or in a folder) for the tests of this room, and streams to fill it with.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>

#include "crypto/cipher.hpp"
#include "repository/repository.hpp"
#include "support/manual_clock.hpp"
#include "util/error.hpp"

namespace dbbackup::test {

using namespace repository;  // NOLINT: the tests speak this room's language
using util::Bytes;
using util::ByteView;

// Several repositories, one after the other or at once, on the same objects.
class SharedStore final : public storage::ObjectStore {
 public:
  explicit SharedStore(std::shared_ptr<storage::ObjectStore> inner) : inner_(std::move(inner)) {}
  void put(const std::string& key, ByteView content, std::stop_token stop = {}) override {
    change(key, [&] { inner_->put(key, content, stop); });
  }
  bool put_new(const std::string& key, ByteView content, std::stop_token stop = {}) override {
    bool created = false;
    change(key, [&] { created = inner_->put_new(key, content, stop); });
    return created;
  }
  Bytes get(const std::string& key, std::optional<storage::Range> range = {},
            std::stop_token stop = {}) override {
    return inner_->get(key, range, stop);
  }
  std::optional<storage::ObjectInfo> stat(const std::string& key,
                                          std::stop_token stop = {}) override {
    return inner_->stat(key, stop);
  }
  void list(const std::string& prefix, const std::function<void(const storage::ObjectInfo&)>& each,
            std::stop_token stop = {}) override {
    inner_->list(prefix, each, stop);
  }
  void remove(const std::string& key, std::stop_token stop = {}) override {
    change(key, [&] { inner_->remove(key, stop); });
  }
  std::string describe() const override { return inner_->describe(); }

  // Around every put and remove; what they throw is what the caller gets.
  std::function<void(const std::string& key)> before_change;
  std::function<void(const std::string& key)> after_change;

 private:
  void change(const std::string& key, const std::function<void()>& action) {
    if (before_change) before_change(key);
    action();
    if (after_change) after_change(key);
  }
  std::shared_ptr<storage::ObjectStore> inner_;
};

inline crypto::Secret test_key(std::uint8_t fill) { return crypto::Secret(Bytes(32, fill)); }

inline Bytes random_content(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  Bytes content(size);
  for (std::uint8_t& byte : content) byte = static_cast<std::uint8_t>(random());
  return content;
}

struct Bench {
  ManualClock clock{util::from_unix_ms(1'790'000'000'000)};
  util::UlidSource ids{clock};
  std::shared_ptr<storage::ObjectStore> objects = storage::open_memory_store();
  Created created;
  util::QuietTask quiet;
  Settings settings;

  explicit Bench(std::shared_ptr<storage::ObjectStore> store = nullptr) {
    if (store) objects = std::move(store);
    settings.owner = "daemon-a";
    settings.session = "process-a";  // every opening is one of the same process
    settings.memory_bytes = 4U << 20U;
    settings.pack_bytes = 256U << 10U;
    created = Repository::create(*objects, test_key(1), {}, clock);
  }

  std::unique_ptr<Repository> open() { return open({.daemon_key = test_key(1)}); }
  std::unique_ptr<Repository> open(const Unlock& unlock) {
    return Repository::open(std::make_unique<SharedStore>(objects), unlock, settings, clock);
  }
  // `store` becomes what the repository sees of the objects; it lives as long as the repository.
  std::unique_ptr<Repository> open(SharedStore*& store) {
    auto shared = std::make_unique<SharedStore>(objects);
    store = shared.get();
    return Repository::open(std::move(shared), {.daemon_key = test_key(1)}, settings, clock);
  }
  util::Task& task() { return quiet.task(); }

  ArtifactIdentity identity() {
    ArtifactIdentity identity;
    identity.id = ids.next();
    identity.name = "shop@host";
    identity.database = "shop";
    identity.engine = "test";
    identity.started = clock.now();
    return identity;
  }

  // One artifact with one `bytes` stream per entry.
  std::string back_up(Repository& repository, const std::map<std::string, Bytes>& streams) {
    const ArtifactIdentity who = identity();
    const auto writer = repository.begin(who, task());
    for (const auto& [name, content] : streams) {
      const auto stream = writer->open(name, StreamKind::bytes);
      stream->write(content);
      stream->close();
    }
    repository.commit(*writer, {});
    return who.id;
  }

  Bytes read(ArtifactReader& artifact, const std::string& name, unsigned workers = 2) {
    const auto stream = artifact.open(name);
    Bytes content;
    stream->read_all(
        [&](std::uint64_t offset, ByteView piece) {
          if (offset != content.size()) throw std::logic_error("out of order");
          content.insert(content.end(), piece.begin(), piece.end());
        },
        workers, task());
    return content;
  }

  std::map<std::string, Bytes> all_objects() {
    std::map<std::string, Bytes> all;
    objects->list("", [&](const storage::ObjectInfo& info) { all[info.key] = {}; });
    for (auto& [key, content] : all) content = objects->get(key);
    return all;
  }
  std::size_t count(const std::string& prefix) {
    std::size_t number = 0;
    objects->list(prefix, [&](const storage::ObjectInfo&) { ++number; });
    return number;
  }
};

// The code of the error that `action` throws; empty when it throws none.
template <typename Action>
std::optional<util::ErrorCode> code_of(const Action& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error.code();
  }
  return std::nullopt;
}

}  // namespace dbbackup::test
