#include "engine/mongodb/loader.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <utility>

#include "engine/mongodb/stored_documents.hpp"
#include "engine/mongodb/workers.hpp"
#include "util/bounded_queue.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

// Below the 16 MiB that a command may have, so that a batch of many documents always fits.
constexpr std::size_t kBatchBytes = std::size_t{6} << 20U;
constexpr std::size_t kShownRefusals = 5;

struct Piece {
  const Load* load = nullptr;
  Bytes documents;
};

// A Timestamp of zero directly in a document. Source: mongodb.com/docs/manual/reference/bson-types,
// "Timestamps": the server replaces it by the current time when such a document is inserted.
bool has_empty_timestamp(ByteView document) {
  constexpr std::array<std::uint8_t, 9> kPattern{};  // a name's end and eight zeros
  if (std::search(document.begin(), document.end(), kPattern.begin(), kPattern.end()) ==
      document.end()) {
    return false;
  }
  Walker walker(document);
  while (const auto field = walker.next()) {
    if (field->name != "_id" && field->timestamp() == Timestamp{}) return true;
  }
  return false;
}

Document insert_command(const Load& load, const std::vector<ByteView>& documents) {
  std::vector<Document> rows;
  rows.reserve(documents.size());
  for (const ByteView document : documents) rows.emplace_back(document);
  return Document()
      .text("insert", load.storage)
      .boolean("ordered", false)
      .boolean("bypassDocumentValidation", true)
      .document("writeConcern", Document().int32("w", 1))
      .array("documents", rows);
}

// Puts the zeros back that the server has replaced: in an update with a pipeline it leaves a
// literal document alone.
void restore_empty_timestamps(Client& client, const Load& load, ByteView document) {
  const auto id = find(document, "_id");
  if (!id) return;
  Document literal;
  Walker walker(document);
  while (const auto field = walker.next()) {
    if (field->name == "_id" || field->timestamp() != Timestamp{}) continue;
    literal.document(field->name, Document().timestamp("$literal", Timestamp{}));
  }
  Document update;
  update.document("q", Document().element(*id)).array("u", {Document().document("$set", literal)});
  client.command(Document()
                     .text("update", load.storage)
                     .boolean("bypassDocumentValidation", true)
                     .array("updates", {update}));
}

void insert_with_empty_timestamps(Client& client, const Load& load, ByteView document,
                                  Refusals& refusals) {
  const Document command = insert_command(load, {document});
  try {
    // Source: mongodb.com/docs/manual/reference/command/insert, since 8.0 and in late patch
    // releases.
    Document modern(command);
    modern.boolean("bypassEmptyTsReplacement", true);
    refusals.add(load.collection, 1, client.command(modern).view());
    return;
  } catch (const ServerError& error) {
    if (!error.is_missing_feature() || error.is_denied()) throw;
  }
  refusals.add(load.collection, 1, client.command(command).view());
  restore_empty_timestamps(client, load, document);
}

// Cuts what a stream delivers into batches for the queue.
class Cutter {
 public:
  Cutter(const Load& load, std::uint64_t max_documents, util::BoundedQueue<Piece>& queue)
      : load_(load), max_documents_(max_documents), queue_(queue) {}

  void take(ByteView document) {
    if (count_ > 0 && (batch_.size() + document.size() > kBatchBytes || count_ >= max_documents_))
      flush();
    batch_.insert(batch_.end(), document.begin(), document.end());
    ++count_;
  }
  void flush() {
    if (count_ == 0) return;
    count_ = 0;
    if (!queue_.push({&load_, std::exchange(batch_, {})})) {
      throw Error(ErrorCode::cancelled, "loading has ended");
    }
  }

 private:
  const Load& load_;
  const std::uint64_t max_documents_;
  util::BoundedQueue<Piece>& queue_;
  Bytes batch_;
  std::uint64_t count_ = 0;
};

void insert_piece(Client& client, const Piece& piece, Refusals& refusals, util::Task& task) {
  std::vector<ByteView> documents;
  each_document(piece.documents, [&](ByteView document) { documents.push_back(document); });
  insert_documents(client, *piece.load, documents, refusals);
  task.progress().rows += documents.size();
  task.progress().bytes += piece.documents.size();
}
}  // namespace

void Refusals::add(const std::string& collection, std::uint64_t sent, ByteView reply) {
  const auto errors = find(reply, "writeErrors");
  const auto list = errors ? errors->document() : std::nullopt;
  const std::scoped_lock lock(mutex_);
  std::uint64_t refused = 0;
  if (list) {
    Walker walker(*list);
    while (const auto one = walker.next()) {
      const auto error = one->document();
      if (!error) continue;
      ++refused;
      if (find_integer(*error, "code") != kDuplicateKey) duplicates_only_ = false;
      if (first_.size() < kShownRefusals) {
        first_.push_back(cat("collection ", util::printable(collection), ": ",
                             util::printable(find_text(*error, "errmsg"))));
      }
    }
  }
  const std::int64_t taken = find_integer(reply, "n").value_or(0);
  if (refused == 0 && static_cast<std::uint64_t>(taken) != sent) {
    refused = sent - std::min(sent, static_cast<std::uint64_t>(taken));
    duplicates_only_ = false;
    first_.push_back(cat("collection ", util::printable(collection), ": the server took ", taken,
                         " of ", sent, " documents and named no error"));
  }
  documents_ += refused;
}

void Refusals::require_none() const {
  const std::scoped_lock lock(mutex_);
  if (documents_ == 0) return;
  std::string message = cat("the server refused ", documents_, " documents: ");
  message += util::join(first_, "; ");
  if (duplicates_only_) {
    throw Error(ErrorCode::conflict, message,
                "documents with these keys are there already; the others were inserted");
  }
  throw Error(ErrorCode::io, message, "the other documents were inserted");
}

void insert_documents(Client& client, const Load& load, const std::vector<ByteView>& documents,
                      Refusals& refusals) {
  std::vector<ByteView> plain;
  for (const ByteView document : documents) {
    if (has_empty_timestamp(document)) {
      insert_with_empty_timestamps(client, load, document, refusals);
    } else {
      plain.push_back(document);
    }
  }
  if (plain.empty()) return;
  const Reply reply = client.command(insert_command(load, plain));
  refusals.add(load.collection, plain.size(), reply.view());
}

void load_streams(const Endpoint& endpoint, repository::ArtifactReader& reader,
                  const std::vector<Load>& loads, unsigned workers, util::Task& task) {
  workers = std::max(workers, 1U);
  util::BoundedQueue<Piece> queue(2 * std::size_t{workers});
  Refusals refusals;
  std::uint64_t max_documents = 0;
  {
    Client client(endpoint, Client::Purpose::write, task.stop());
    max_documents = client.server().max_batch_documents;
  }
  task.progress().streams_total = loads.size();

  std::exception_ptr reading_failure;
  const std::stop_callback on_stop(task.stop(), [&] { queue.close(); });
  std::jthread producer([&] {
    try {
      for (const Load& load : loads) {
        Cutter cutter(load, max_documents, queue);
        each_stored_document(reader, load.stream, workers, task,
                             [&](ByteView document) { cutter.take(document); });
        cutter.flush();
        ++task.progress().streams_done;
      }
    } catch (...) {
      reading_failure = std::current_exception();
    }
    queue.close();
  });
  const Unit insert = [&](Client& client, const std::stop_token&) {
    while (auto piece = queue.pop()) {
      insert_piece(client, *piece, refusals, task);
      util::kill_point("mongodb-inserted");
    }
  };
  // A worker that fails must not leave the producer waiting.
  const Unit guarded = [&](Client& client, const std::stop_token& stop) {
    const std::stop_callback on_end(stop, [&] { queue.close(); });
    try {
      insert(client, stop);
    } catch (...) {
      queue.close();
      throw;
    }
  };
  try {
    work_off(endpoint, Client::Purpose::write, workers, std::vector<Unit>(workers, guarded), task);
  } catch (...) {
    queue.close();
    producer.join();
    throw;
  }
  producer.join();
  if (reading_failure) std::rethrow_exception(reading_failure);
  refusals.require_none();
}

}  // namespace dbbackup::engine::mongodb
