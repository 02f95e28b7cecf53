// What S3, Google Cloud Storage and Azure have in common: an object is one HTTP resource, and every
// operation of ObjectStore is one request (or one per page), repeated by policy. A service says how
// its requests look and what its refusals mean; everything else is here.
//
// What a repetition may hide is settled here too: a put_new() whose first attempt broke after the
// server had done it finds its own object in the way, and recognises it by its content.
//
// Threads: CloudStore is safe from any thread; a CloudService has to be.
// Owns: the service and its connections.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/client.hpp"
#include "storage/object_store.hpp"

namespace dbbackup::storage {

// The body of a put with what services want to know of it; made once for all attempts.
struct Upload {
  const std::string& key;
  util::ByteView content;
  bool only_new = false;
  std::string hash;  // the service's own, from hash_of()
};

struct ListPage {
  std::vector<ObjectInfo> objects;  // keys as the service names them
  std::string next;                 // token of the next page; empty at the end
};

class CloudService {
 public:
  virtual ~CloudService() = default;

  // "s3://bucket/prefix"
  virtual const std::string& name() const = 0;
  // What stands before a key in the service's names: "" or "prefix/".
  virtual const std::string& prefix() const = 0;

  // Requests, signed for now. `name`: prefix and key.
  virtual http::Request get(const std::string& name, const std::optional<Range>& range) = 0;
  virtual http::Request head(const std::string& name) = 0;
  virtual http::Request put(const std::string& name, const Upload& upload) = 0;
  virtual http::Request remove(const std::string& name) = 0;
  virtual http::Request list(const std::string& prefix, const std::string& token) = 0;

  // The hash under which put() sends the content.
  virtual std::string hash_of(util::ByteView content) const = 0;
  virtual ObjectInfo read_info(const http::Response& head) const = 0;  // without key
  virtual ListPage read_page(const http::Response& page) const = 0;
  // Whether a whole object arrived as it was sent; true where the service did not say.
  virtual bool is_intact(const http::Response& object) const = 0;
  // Whether the refusal of a put says that there is an object already.
  virtual bool says_exists(const http::Response& refusal) const = 0;
  // Code and text of a refusal, as the service words it, and what to do about it.
  virtual util::Error refusal(const http::Response& refusal) const = 0;

  // Content that is better sent in pieces. False: it is not, and a plain put is right.
  virtual bool put_in_parts(class CloudStore& store, const std::string& name, const Upload& upload,
                            const std::stop_token& stop);
  // Has new credentials fetched when the refusal says that those in use are no longer good. True
  // when it is worth trying again.
  virtual bool renew(const http::Response& refusal, const std::stop_token& stop);
};

class CloudStore final : public ObjectStore {
 public:
  CloudStore(std::unique_ptr<CloudService> service, http::ClientOptions client,
             http::RetryPolicy policy = {});

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override;
  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override;
  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override;
  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override;
  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override;
  void remove(const std::string& key, std::stop_token stop) override;
  unsigned parallel_puts() const override { return 3; }
  std::string describe() const override { return service_->name(); }

  // For services: sends with retries and renewed credentials; any response.
  http::Settled send(const std::function<http::Request()>& make, const std::stop_token& stop);
  // As send(); a response other than 2xx becomes an error that begins with `what`.
  http::Response require(const std::string& what, const std::function<http::Request()>& make,
                         const std::stop_token& stop);
  util::Error error_of(const std::string& what, const http::Response& refusal) const;

 private:
  std::string name_of(const std::string& key) const { return service_->prefix() + key; }
  bool is_ours(const std::string& key, util::ByteView content, const std::stop_token& stop);

  const std::unique_ptr<CloudService> service_;
  http::Client client_;
  const http::RetryPolicy policy_;
};

// The usual meaning of a status, for services to refine.
util::ErrorCode code_of_status(int status);

// How far this machine's clock is from the server's, in words; empty when the response has no date
// or the clocks agree to the minute.
std::string clock_difference(const http::Response& response, util::TimePoint now);

}  // namespace dbbackup::storage
