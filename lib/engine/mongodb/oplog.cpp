#include "engine/mongodb/oplog.hpp"

#include <algorithm>
#include <chrono>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::chrono::milliseconds kPause{500};
// A server without an index on the log's time reads all of it at each fetch: it gets longer pauses.
constexpr int kPausePerFetch = 4;
constexpr const char* kOplog = "oplog.rs";

Document end_entry_command(std::int32_t direction) {
  return Document()
      .text("find", kOplog)
      .document("sort", Document().int32("$natural", direction))
      .document("projection", Document().int32("ts", 1))
      .int32("limit", 1)
      .boolean("singleBatch", true);
}

// The newest (-1) or oldest (1) entry's time.
std::optional<Timestamp> end_of_oplog(Client& client, std::int32_t direction) {
  const auto entry = first_row(client, "local", end_entry_command(direction));
  const auto ts = entry ? find(entry->view(), "ts") : std::nullopt;
  return ts ? ts->timestamp() : std::nullopt;
}

// Source: config.transactions, src/mongo/db/session/session_txn_record.idl.
std::optional<Timestamp> oldest_transaction(Client& client) {
  std::optional<Timestamp> oldest;
  const Document open =
      Document().document("state", Document().texts("$in", {"prepared", "inProgress"}));
  try {
    each_row(client, "config", Document().text("find", "transactions").document("filter", open),
             [&](ByteView record) {
               const auto start = find_path(record, {"startOpTime", "ts"});
               const auto ts = start ? start->timestamp() : std::nullopt;
               if (ts && (!oldest || *ts < *oldest)) oldest = ts;
               return true;
             });
  } catch (const ServerError& error) {
    if (!error.is_missing_feature() && error.number() != kNamespaceNotFound) throw;
  }
  return oldest;
}

// Commands that replaying entry by entry cannot follow.
void refuse_unreplayable(ByteView command, const std::string& database) {
  Walker walker(command);
  const auto first = walker.next();
  if (!first) return;
  for (const std::string_view name : {"renameCollection", "importCollection"}) {
    if (first->name != name) continue;
    throw Error(ErrorCode::unavailable,
                cat("a collection of ", util::printable(database),
                    " was renamed while the backup was reading it"),
                "run it again");
  }
}

bool concerns(ByteView entry, const std::string& database) {
  const std::string ns = find_text(entry, "ns");
  if (ns.starts_with(database + ".")) return true;
  // Transactions span databases: their entries name them inside.
  if (ns != "admin.$cmd") return false;
  const auto command = find(entry, "o");
  if (!command || !command->document()) return false;
  Walker walker(*command->document());
  const auto first = walker.next();
  return first && (first->name == "applyOps" || first->name == "commitTransaction" ||
                   first->name == "abortTransaction");
}
}  // namespace

std::optional<Timestamp> oplog_position(Client& client, std::string& reason) {
  if (client.server().set_name.empty()) {
    reason = client.server().router ? "the server is a router of a sharded cluster"
                                    : "the server is not a member of a replica set";
    return std::nullopt;
  }
  try {
    auto position = end_of_oplog(client, -1);
    if (!position) {
      reason = "local.oplog.rs is empty";
      return std::nullopt;
    }
    const auto transaction = oldest_transaction(client);
    return transaction ? std::min(*position, *transaction) : position;
  } catch (const ServerError& error) {
    if (!error.is_missing_feature() && error.number() != kNamespaceNotFound) throw;
    reason = cat("local.oplog.rs cannot be read: ", error.message());
    return std::nullopt;
  }
}

OplogCopy::OplogCopy(const Endpoint& endpoint, Timestamp from, repository::ArtifactWriter& writer,
                     const std::stop_token& stop)
    : endpoint_(endpoint),
      from_(from),
      stream_(writer.open(kOplogStream, repository::StreamKind::bson, {})),
      last_(from),
      thread_([this](const std::stop_token& token) { work(token); }) {
  outer_.emplace(stop, [this] { thread_.request_stop(); });
}

OplogCopy::~OplogCopy() { outer_.reset(); }

void OplogCopy::work(const std::stop_token& stop) {
  try {
    Client client(endpoint_, Client::Purpose::write, stop);
    for (;;) {
      const auto begin = std::chrono::steady_clock::now();
      fetch(client);
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin);
      std::unique_lock lock(mutex_);
      if (end_ && last_ >= *end_) return;
      wake_.wait_for(lock, stop, std::max(kPause, kPausePerFetch * took),
                     [&] { return end_.has_value(); });
      if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "cancelled");
    }
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::current_exception();
  }
}

void OplogCopy::fetch(Client& client) {
  const Document since = Document().document("ts", Document().timestamp("$gte", last_));
  // The first fetch begins at a time, which need not be that of an entry; later ones with an entry.
  const bool first = first_fetch_;
  bool continues = false;
  if (first) {
    const auto oldest = end_of_oplog(client, 1);
    continues = oldest && *oldest <= from_;
  }
  each_row(client, "local",
           Document()
               .text("find", kOplog)
               .document("filter", since)
               .document("sort", Document().int32("$natural", 1))
               .int32("batchSize", 64),
           [&](ByteView entry) {
             const auto element = find(entry, "ts");
             const auto ts = element ? element->timestamp() : std::nullopt;
             if (!ts) throw Error(ErrorCode::source_damaged, "an oplog entry has no time");
             if (!first && !continues) {
               continues = *ts == last_;
               return continues;  // kept at the last fetch
             }
             if (!continues) return false;
             first_fetch_ = false;
             last_ = *ts;
             keep(entry);
             return true;
           });
  if (!continues) {
    throw Error(ErrorCode::unavailable,
                cat("the oplog no longer holds the entry of ", last_.text(),
                    ": it rolled over during the backup"),
                "make the oplog larger (replSetResizeOplog), or back up at a quieter time");
  }
}

void OplogCopy::keep(ByteView entry) {
  if (!concerns(entry, endpoint_.database)) return;
  const auto command = find(entry, "o");
  if (find_text(entry, "op") == "c" && command && command->document()) {
    refuse_unreplayable(*command->document(), endpoint_.database);
  }
  stream_->write(entry);
  stream_->end_row();
  ++entries_;
}

void OplogCopy::check() {
  const std::scoped_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

OplogCopy::Result OplogCopy::finish() {
  {
    // The end is read on a connection of its own: the thread's is in use.
    Client client(endpoint_, Client::Purpose::write, thread_.get_stop_token());
    const auto end = end_of_oplog(client, -1);
    const std::scoped_lock lock(mutex_);
    end_ = end.value_or(last_);
  }
  wake_.notify_all();
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  stream_->close();
  return {from_, last_, entries_};
}

}  // namespace dbbackup::engine::mongodb
