#include "storage/wrappers.hpp"

#include <algorithm>

#include "storage/rules.hpp"

namespace dbbackup::storage {

namespace {

// Hands everything on.
class Wrapper : public ObjectStore {
 public:
  explicit Wrapper(std::unique_ptr<ObjectStore> inner) : inner_(std::move(inner)) {}

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    inner_->put(key, content, std::move(stop));
  }
  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    return inner_->put_new(key, content, std::move(stop));
  }
  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    return inner_->get(key, range, std::move(stop));
  }
  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    return inner_->stat(key, std::move(stop));
  }
  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    inner_->list(prefix, each, std::move(stop));
  }
  void remove(const std::string& key, std::stop_token stop) override {
    inner_->remove(key, std::move(stop));
  }
  std::optional<Space> space() override { return inner_->space(); }
  unsigned parallel_puts() const override { return inner_->parallel_puts(); }
  bool locks() const override { return inner_->locks(); }
  std::optional<util::TimePoint> locked_until(const std::string& key,
                                              std::stop_token stop) override {
    return inner_->locked_until(key, std::move(stop));
  }
  void lock(const std::string& key, std::stop_token stop) override {
    inner_->lock(key, std::move(stop));
  }
  std::string describe() const override { return inner_->describe(); }

 protected:
  ObjectStore& inner() { return *inner_; }

 private:
  const std::unique_ptr<ObjectStore> inner_;
};

class RetryingStore final : public Wrapper {
 public:
  RetryingStore(std::unique_ptr<ObjectStore> inner, const http::RetryPolicy& policy)
      : Wrapper(std::move(inner)), policy_(policy) {}

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    http::repeat(policy_, stop, [&] { inner().put(key, content, stop); });
  }

  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    bool created = false;
    const unsigned attempts =
        http::repeat(policy_, stop, [&] { created = inner().put_new(key, content, stop); });
    if (created || attempts == 1) return created;
    const util::Bytes there = get(key, std::nullopt, stop);
    return std::equal(there.begin(), there.end(), content.begin(), content.end());
  }

  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    util::Bytes content;
    http::repeat(policy_, stop, [&] { content = inner().get(key, range, stop); });
    return content;
  }

  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    std::optional<ObjectInfo> info;
    http::repeat(policy_, stop, [&] { info = inner().stat(key, stop); });
    return info;
  }

  // `each` must not hear twice of what a broken attempt had found, nor be repeated itself.
  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    std::vector<ObjectInfo> found;
    http::repeat(policy_, stop, [&] {
      found.clear();
      inner().list(
          prefix, [&](const ObjectInfo& info) { found.push_back(info); }, stop);
    });
    for (const ObjectInfo& info : found) {
      check_stop(stop, info.key);
      each(info);
    }
  }

  void remove(const std::string& key, std::stop_token stop) override {
    http::repeat(policy_, stop, [&] { inner().remove(key, stop); });
  }

  std::optional<Space> space() override {
    std::optional<Space> space;
    http::repeat(policy_, {}, [&] { space = inner().space(); });
    return space;
  }

  std::optional<util::TimePoint> locked_until(const std::string& key,
                                              std::stop_token stop) override {
    std::optional<util::TimePoint> until;
    http::repeat(policy_, stop, [&] { until = inner().locked_until(key, stop); });
    return until;
  }

  void lock(const std::string& key, std::stop_token stop) override {
    http::repeat(policy_, stop, [&] { inner().lock(key, stop); });
  }

 private:
  const http::RetryPolicy policy_;
};

class ThrottledStore final : public Wrapper {
 public:
  ThrottledStore(std::unique_ptr<ObjectStore> inner, std::shared_ptr<http::RateLimit> upload,
                 std::shared_ptr<http::RateLimit> download)
      : Wrapper(std::move(inner)), upload_(std::move(upload)), download_(std::move(download)) {}

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    wait(upload_, content.size(), stop);
    Wrapper::put(key, content, std::move(stop));
  }

  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    wait(upload_, content.size(), stop);
    return Wrapper::put_new(key, content, std::move(stop));
  }

  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    util::Bytes content = Wrapper::get(key, range, stop);
    wait(download_, content.size(), stop);
    return content;
  }

 private:
  static void wait(const std::shared_ptr<http::RateLimit>& limit, std::uint64_t bytes,
                   const std::stop_token& stop) {
    if (limit) limit->take(bytes, stop);
  }

  const std::shared_ptr<http::RateLimit> upload_;
  const std::shared_ptr<http::RateLimit> download_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_retrying(std::unique_ptr<ObjectStore> inner,
                                           const http::RetryPolicy& policy) {
  return std::make_unique<RetryingStore>(std::move(inner), policy);
}

std::unique_ptr<ObjectStore> make_throttled(std::unique_ptr<ObjectStore> inner,
                                            std::shared_ptr<http::RateLimit> upload,
                                            std::shared_ptr<http::RateLimit> download) {
  if (!upload && !download) return inner;
  return std::make_unique<ThrottledStore>(std::move(inner), std::move(upload), std::move(download));
}

}  // namespace dbbackup::storage
