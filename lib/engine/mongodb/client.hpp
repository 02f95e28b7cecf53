// A connection to one server of a MongoDB deployment, and its errors in our words.
//
// Everything goes through command(): what the engine asks is written out as the command that the
// server's manual describes, and replies are walked as raw BSON. That keeps users' documents
// untouched by the driver and each request under our control; the driver brings discovery,
// authentication, TLS, compression and sessions.
//
// Threads: one thread per Client; a stop request from any thread ends what it waits for.
// Owns: the driver's client and session.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/mongodb/bson.hpp"
#include "util/error.hpp"

namespace dbbackup::engine::mongodb {

struct Endpoint {
  std::string url;  // without password
  std::string database;
  std::function<std::string()> password;  // may give nothing
};

// Checks what only the driver knows about a URL. Errors: usage.
void require_usable_url(const std::string& url);

// The server's own error: `number` is the code of its error list (src/mongo/base/error_codes.yml).
class ServerError : public util::Error {
 public:
  ServerError(const util::Error& error, int number) : Error(error), number_(number) {}
  int number() const { return number_; }
  // Neither this command nor this option is known here; or it may not be used.
  bool is_missing_feature() const;
  bool is_denied() const;

 private:
  int number_;
};

// Numbers the engine decides by.
inline constexpr int kNamespaceNotFound = 26;
inline constexpr int kNamespaceExists = 48;
inline constexpr int kSnapshotTooOld = 239;
inline constexpr int kSnapshotUnavailable = 246;
inline constexpr int kDuplicateKey = 11000;

// What a server's numbers and words mean for us; `what` names the work.
ServerError server_error(std::string_view what, int number, std::string_view message);

struct ServerInfo {
  std::string version;   // "7.0.12"
  std::string product;   // "MongoDB", "FerretDB 1.24.0"
  std::string set_name;  // of the replica set; empty for none
  bool router = false;   // a mongos
  bool sessions = false;
  std::int64_t wire_version = 0;
  std::uint64_t max_document_bytes = std::uint64_t{16} << 20U;
  std::uint64_t max_batch_documents = 100000;
};

// A reply; as long as it lives, views into it are good.
class Reply {
 public:
  struct Held;  // the driver's value
  explicit Reply(std::shared_ptr<Held> held) : held_(std::move(held)) {}
  util::ByteView view() const;

 private:
  std::shared_ptr<Held> held_;
};

class Client {
 public:
  // read: the member that the URL's read preference chooses; write: the primary.
  enum class Purpose { read, write };

  // Connects, authenticates and opens a session where the server knows sessions.
  // Errors: unavailable, permission_denied, usage, cancelled.
  Client(const Endpoint& endpoint, Purpose purpose, const std::stop_token& stop);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const ServerInfo& server() const;
  const std::string& database() const;  // the endpoint's

  // Runs one command and returns its reply. Errors: ServerError; unavailable; cancelled. Write
  // errors inside a reply with ok:1 are the caller's to look at.
  Reply command(const std::string& database, const Document& command);
  Reply command(const Document& command) { return this->command(database(), command); }

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// One batch of a cursor: a list of documents inside the reply that holds them.
struct Batch {
  Reply reply;
  util::ByteView list;
  std::uint64_t documents = 0;
};

// Calls `take` with every batch of the cursor that `command` opens (find, aggregate,
// listCollections, listIndexes) until it is exhausted or `take` gives false. How many documents to
// fetch at once is chosen by their size: MongoDB itself stops at 16 MiB, other servers do not.
void each_batch(Client& client, const std::string& database, const Document& command,
                const std::function<bool(const Batch& batch)>& take);
// Calls `take` with each document of a batch; false when `take` gave false.
bool each_row(const Batch& batch, const std::function<bool(util::ByteView document)>& take);
void each_row(Client& client, const std::string& database, const Document& command,
              const std::function<bool(util::ByteView document)>& take);
std::vector<Document> all_rows(Client& client, const std::string& database,
                               const Document& command);
// The first document, for commands that ask for one.
std::optional<Document> first_row(Client& client, const std::string& database,
                                  const Document& command);

}  // namespace dbbackup::engine::mongodb
