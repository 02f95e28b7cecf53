#include <map>
#include <mutex>

#include "storage/object_store.hpp"
#include "storage/rules.hpp"

namespace dbbackup::storage {

namespace {

class MemoryStore final : public ObjectStore {
 public:
  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    Object object = make(content);
    const std::scoped_lock lock(mutex_);
    objects_.insert_or_assign(key, std::move(object));
  }

  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    Object object = make(content);
    const std::scoped_lock lock(mutex_);
    return objects_.try_emplace(key, std::move(object)).second;
  }

  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    const std::optional<Object> object = find(key);
    if (!object) throw absent_object(key, describe());
    const util::Bytes& content = *object->content;
    const Range part = resolve_range(range, content.size(), key, describe());
    const util::ByteView view = util::ByteView(content).subspan(part.offset, part.length);
    return {view.begin(), view.end()};
  }

  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    const std::optional<Object> object = find(key);
    if (!object) return std::nullopt;
    return ObjectInfo{key, object->content->size(), object->modified};
  }

  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    check_prefix(prefix);
    // `each` may use the store, so it is called without the lock.
    std::vector<ObjectInfo> found;
    {
      const std::scoped_lock lock(mutex_);
      for (auto at = objects_.lower_bound(prefix);
           at != objects_.end() && at->first.starts_with(prefix); ++at) {
        found.push_back({at->first, at->second.content->size(), at->second.modified});
      }
    }
    for (const ObjectInfo& info : found) {
      check_stop(stop, info.key);
      each(info);
    }
  }

  void remove(const std::string& key, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    const std::scoped_lock lock(mutex_);
    objects_.erase(key);
  }

  std::string describe() const override { return "memory store"; }

 private:
  // Shared, so that readers copy the content outside the lock and keep it when it is replaced
  // meanwhile.
  struct Object {
    std::shared_ptr<const util::Bytes> content;
    util::TimePoint modified;
  };

  Object make(util::ByteView content) const {
    return {std::make_shared<const util::Bytes>(content.begin(), content.end()), clock_.now()};
  }

  std::optional<Object> find(const std::string& key) const {
    const std::scoped_lock lock(mutex_);
    const auto at = objects_.find(key);
    if (at == objects_.end()) return std::nullopt;
    return at->second;
  }

  util::SystemClock clock_;  // stands in for the one a file system or a cloud stamps objects with
  mutable std::mutex mutex_;
  std::map<std::string, Object> objects_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace dbbackup::storage
