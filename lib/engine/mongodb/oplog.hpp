// The server's operation log, copied while a backup reads.
//
// Where all readers cannot see one moment, what they read is blurred: each document as it was at
// some time between start and end. The log of that time, replayed over it, gives the state of the
// end, because its entries say what a document became and not how. The copy is made while the
// readers work, so a log that is small or busy does not roll over before it is read; that nothing
// was missed shows at every fetch, which begins with the last entry of the one before.
//
// Threads: OplogCopy reads on a thread of its own between construction and finish().
// Errors: unavailable when entries are gone; conflict for what cannot be replayed.
// Source: mongodb.com/docs/manual/core/replica-set-oplog; the fields in
// src/mongo/db/repl/oplog_entry.idl.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "engine/mongodb/client.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mongodb {

inline constexpr const char* kOplogStream = "oplog/entries";

// Where a copy that starts now must begin: the newest entry, or the start of the oldest transaction
// that is prepared or in progress. Nothing when there is no log to read; `reason` then says why.
std::optional<Timestamp> oplog_position(Client& client, std::string& reason);

class OplogCopy {
 public:
  // Copies the entries that concern the endpoint's database from `from` on.
  // Requires: writer outlives the object.
  OplogCopy(const Endpoint& endpoint, Timestamp from, repository::ArtifactWriter& writer,
            const std::stop_token& stop);
  ~OplogCopy();
  OplogCopy(const OplogCopy&) = delete;
  OplogCopy& operator=(const OplogCopy&) = delete;

  struct Result {
    Timestamp from;
    Timestamp to;
    std::uint64_t entries = 0;
  };
  // Throws what has ended the copy early, so that readers need not go on in vain. Threads: any.
  void check();
  // Waits until everything that has happened up to now is copied.
  Result finish();

 private:
  void work(const std::stop_token& stop);
  void fetch(Client& client);
  void keep(util::ByteView entry);

  const Endpoint endpoint_;
  const Timestamp from_;
  std::unique_ptr<repository::StreamWriter> stream_;
  Timestamp last_;
  bool first_fetch_ = true;
  std::uint64_t entries_ = 0;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<Timestamp> end_;
  std::exception_ptr failure_;
  std::optional<std::stop_callback<std::function<void()>>> outer_;
  std::jthread thread_;
};

}  // namespace dbbackup::engine::mongodb
