#include "engine/mongodb/replay.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/mongodb/diff.hpp"
#include "engine/mongodb/loader.hpp"
#include "engine/mongodb/oplog.hpp"
#include "engine/mongodb/stored_documents.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kFoldEntries = 2000;
constexpr std::size_t kFoldBytes = std::size_t{32} << 20U;
constexpr std::size_t kWriteBytes = std::size_t{6} << 20U;
constexpr std::size_t kWriteDocuments = 1000;

std::string key_of(const Element& id) {
  std::string key(1, static_cast<char>(id.type));
  key += util::as_text(id.value);
  return key;
}

ByteView required(ByteView document, std::string_view name) {
  const auto element = find(document, name);
  const auto inner = element ? element->document() : std::nullopt;
  if (!inner) {
    throw Error(ErrorCode::unsupported,
                cat("an oplog entry without \"", name, "\" cannot be replayed"));
  }
  return *inner;
}

class Replay {
 public:
  Replay(Client& client, const ReplayTarget& target, util::Task& task)
      : client_(client), target_(target), task_(task) {}

  void take(ByteView entry);
  void finish() { flush(); }
  std::uint64_t changes() const { return changes_; }

 private:
  // One change of one document, with the bytes it refers to.
  struct Change {
    char op = 'i';
    std::string collection;
    Document object;  // "o"
    Document id;      // {_id: ...}
  };
  using State = std::optional<Document>;  // nothing: deleted
  struct Pending {
    Document id;
    State state;
  };
  using Documents = std::map<std::string, Pending>;  // by key_of(_id)

  void take_operation(ByteView operation);
  void take_command(ByteView entry);
  void take_transaction(ByteView entry, ByteView command);
  void apply_list(ByteView list);
  void queue(Change change);
  void flush();
  void fetch_missing(const std::vector<Change>& changes);
  void fetch(const std::string& collection, const std::vector<const Document*>& ids);
  void fold(const Change& change);
  void update(const Change& change, Pending& pending);
  void write(const std::string& collection, const Documents& documents);
  // The collection of a namespace of the source, when it is to be restored.
  std::optional<std::string> collection_of(ByteView operation) const;

  Client& client_;
  const ReplayTarget& target_;
  util::Task& task_;
  std::vector<Change> queued_;
  std::size_t queued_bytes_ = 0;
  std::map<std::string, Documents> folded_;               // by collection
  std::map<std::string, std::vector<Document>> waiting_;  // operations of open transactions
  std::uint64_t changes_ = 0;
};

std::optional<std::string> Replay::collection_of(ByteView operation) const {
  const std::string ns = find_text(operation, "ns");
  const std::string prefix = target_.source_database + ".";
  if (!ns.starts_with(prefix)) return std::nullopt;
  std::string collection = ns.substr(prefix.size());
  if (!target_.wanted(collection)) return std::nullopt;
  return collection;
}

void Replay::take(ByteView entry) {
  task_.check();
  const std::string op = find_text(entry, "op");
  if (op == "n") return;
  if (op == "c") {
    take_command(entry);
  } else {
    take_operation(entry);
  }
}

void Replay::take_operation(ByteView operation) {
  const std::string op = find_text(operation, "op");
  if (op == "c") return take_command(operation);
  if (op == "n") return;
  const auto collection = collection_of(operation);
  if (!collection) return;
  if (op != "i" && op != "u" && op != "d") {
    throw Error(ErrorCode::unsupported,
                cat("an oplog entry of kind \"", util::printable(op), "\" cannot be replayed"));
  }
  const ByteView object = required(operation, "o");
  const auto id = find(op == "u" ? required(operation, "o2") : object, "_id");
  if (!id) return;  // a document without _id cannot have been changed afterwards
  queue({op.front(), *collection, Document(object), Document().element_as("_id", *id)});
}

void Replay::take_command(ByteView entry) {
  const ByteView command = required(entry, "o");
  Walker walker(command);
  const auto first = walker.next();
  if (!first) return;
  const std::string_view name = first->name;
  if (name == "applyOps" || name == "commitTransaction" || name == "abortTransaction") {
    return take_transaction(entry, command);
  }
  const std::string prefix = target_.source_database + ".";
  if (!find_text(entry, "ns").starts_with(prefix)) return;
  const std::string collection(first->text().value_or(""));
  if (name == "dropDatabase") {
    throw Error(ErrorCode::unsupported, "the database was dropped while it was backed up");
  }
  if (!target_.wanted(collection)) return;
  if (name == "drop" || name == "create") {
    flush();
    try {
      client_.command(name == "drop"
                          ? Document().text("drop", collection)
                          : Document().all_but(command, {"idIndex", "uuid", "autoIndexId"}));
    } catch (const ServerError& error) {
      if (error.number() != kNamespaceNotFound && error.number() != kNamespaceExists) throw;
    }
  }
  // Indexes and options are restored as they were when the backup began; the backup says so.
}

// Source: mongodb/specifications transactions; src/mongo/db/repl/oplog_entry.idl: operations of a
// large transaction come in several entries (partialTxn), those of a prepared one before its
// commit.
void Replay::take_transaction(ByteView entry, ByteView command) {
  std::string key;
  if (const auto lsid = find(entry, "lsid")) key += util::as_text(lsid->value);
  key += cat("/", find_integer(entry, "txnNumber").value_or(-1));
  if (find(command, "abortTransaction")) {
    waiting_.erase(key);
    return;
  }
  if (const auto list = find(command, "applyOps")) {
    std::vector<Document>& operations = waiting_[key];
    Walker walker(list->document().value_or(ByteView{}));
    while (const auto operation = walker.next()) {
      if (operation->document()) operations.emplace_back(*operation->document());
    }
    if (find_truth(command, "partialTxn") || find_truth(command, "prepare")) return;
  }
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return;  // prepared before the copy began: none of ours is that old
  const std::vector<Document> operations = std::move(found->second);
  waiting_.erase(found);
  for (const Document& operation : operations) take_operation(operation.view());
}

void Replay::queue(Change change) {
  queued_bytes_ += change.object.view().size();
  queued_.push_back(std::move(change));
  if (queued_.size() >= kFoldEntries || queued_bytes_ >= kFoldBytes) flush();
}

void Replay::flush() {
  const std::vector<Change> changes = std::exchange(queued_, {});
  queued_bytes_ = 0;
  if (changes.empty()) return;
  folded_.clear();
  fetch_missing(changes);
  for (const Change& change : changes) fold(change);
  for (const auto& [collection, documents] : folded_) write(collection, documents);
  folded_.clear();
  changes_ += changes.size();
}

// Updates need the document that they change, unless an earlier entry of the same lot gives it.
void Replay::fetch_missing(const std::vector<Change>& changes) {
  std::map<std::string, std::map<std::string, const Document*>> wanted;
  for (const Change& change : changes) {
    if (change.op != 'u') continue;
    const auto id = find(change.id.view(), "_id");
    wanted[change.collection].emplace(key_of(*id), &change.id);
  }
  for (const auto& [collection, ids] : wanted) {
    std::vector<const Document*> list;
    for (const auto& [key, id] : ids) {
      list.push_back(id);
      folded_[collection][key] = {*id, std::nullopt};
      if (list.size() == kWriteDocuments) fetch(collection, std::exchange(list, {}));
    }
    if (!list.empty()) fetch(collection, list);
  }
}

void Replay::fetch(const std::string& collection, const std::vector<const Document*>& ids) {
  Document values;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    values.element_as(std::to_string(i), *find(ids[i]->view(), "_id"));
  }
  const Element list{BsonType::array, "$in", values.view()};
  const Document filter = Document().document("_id", Document().element(list));
  each_row(client_, client_.database(),
           Document().text("find", collection).document("filter", filter), [&](ByteView document) {
             const auto id = find(document, "_id");
             const auto found =
                 id ? folded_[collection].find(key_of(*id)) : folded_[collection].end();
             if (found != folded_[collection].end()) found->second.state = Document(document);
             return true;
           });
}

void Replay::fold(const Change& change) {
  const auto id = find(change.id.view(), "_id");
  Pending& pending = folded_[change.collection][key_of(*id)];
  pending.id = change.id;
  if (change.op == 'i') {
    pending.state = change.object;
  } else if (change.op == 'd') {
    pending.state.reset();
  } else {
    update(change, pending);
  }
}

// Source: the oplog's update entries: a delta ($v: 2), $set and $unset before 5.0 ($v: 1),
// otherwise the whole document.
void Replay::update(const Change& change, Pending& pending) {
  const ByteView object = change.object.view();
  const auto delta = find(object, "diff");
  const auto set = find(object, "$set");
  const auto unset = find(object, "$unset");
  if (!delta && !set && !unset) {
    pending.state = change.object;
    return;
  }
  // It was deleted before it was read; the entry of that comes later.
  if (!pending.state) return;
  if (delta && find_integer(object, "$v") == 2) {
    pending.state = apply_delta(pending.state->view(), delta->document().value_or(ByteView{}));
    return;
  }
  Document as_delta;
  for (const auto& [section, name] : {std::pair{&set, "u"}, std::pair{&unset, "d"}}) {
    if (!*section) continue;
    const ByteView fields = (*section)->document().value_or(ByteView{});
    Walker walker(fields);
    while (const auto field = walker.next()) {
      if (field->name.find('.') == std::string_view::npos) continue;
      throw Error(
          ErrorCode::unsupported,
          "an oplog entry of a server before 5.0 changes an embedded field, which cannot be "
          "replayed",
          "upgrade the source to MongoDB 5.0 or later, whose backups are snapshots");
    }
    as_delta.document(name, fields);
  }
  pending.state = apply_delta(pending.state->view(), as_delta.view());
}

// Removed and inserted anew rather than replaced: an insert takes every document as it is.
void Replay::write(const std::string& collection, const Documents& documents) {
  std::vector<Document> deletes;
  const auto remove = [&] {
    if (deletes.empty()) return;
    client_.command(Document()
                        .text("delete", collection)
                        .boolean("ordered", false)
                        .array("deletes", std::exchange(deletes, {})));
  };
  for (const auto& [key, pending] : documents) {
    deletes.push_back(Document().document("q", pending.id).int32("limit", 1));
    if (deletes.size() == kWriteDocuments) remove();
  }
  remove();

  Refusals refusals;
  std::vector<ByteView> inserts;
  std::size_t bytes = 0;
  const auto insert = [&] {
    if (!inserts.empty())
      insert_documents(client_, {{}, collection, collection}, inserts, refusals);
    inserts.clear();
    bytes = 0;
  };
  for (const auto& [key, pending] : documents) {
    if (!pending.state) continue;
    const ByteView document = pending.state->view();
    if (bytes + document.size() > kWriteBytes || inserts.size() == kWriteDocuments) insert();
    inserts.push_back(document);
    bytes += document.size();
  }
  insert();
  refusals.require_none();
}
}  // namespace

std::uint64_t replay_oplog(Client& client, repository::ArtifactReader& reader,
                           const ReplayTarget& target, util::Task& task) {
  Replay replay(client, target, task);
  each_stored_document(reader, kOplogStream, 1, task, [&](ByteView entry) { replay.take(entry); });
  replay.finish();
  return replay.changes();
}

}  // namespace dbbackup::engine::mongodb
