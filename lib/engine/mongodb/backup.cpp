#include "engine/mongodb/backup.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "engine/mongodb/assembly.hpp"
#include "engine/mongodb/oplog.hpp"
#include "engine/mongodb/reading.hpp"
#include "engine/mongodb/workers.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using repository::StreamKind;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

// One collection on its way into the artifact.
struct Reading {
  const Collection* collection = nullptr;
  std::optional<Document> filter;
  std::vector<IdRange> ranges;
  std::unique_ptr<Assembly> assembly;
};

class Backup {
 public:
  Backup(const SourceSettings& source, const Scope& scope, repository::ArtifactWriter& writer,
         util::Task& task)
      : source_(source),
        scope_(scope),
        writer_(writer),
        task_(task),
        client_(source.endpoint, Client::Purpose::read, task.stop()) {}

  repository::Summary run();

 private:
  void read_schema();
  void choose_consistency();
  std::optional<Timestamp> primary_position();
  void begin_oplog(Timestamp from);
  void read_at_time();
  void read_blurred();
  std::vector<const Collection*> read(const std::vector<const Collection*>& collections,
                                      const ReadMode& mode);
  void read_range(Client& client, Reading& reading, std::size_t range, const ReadMode& mode,
                  const std::stop_token& stop);
  void write_schema();
  void write_users();
  void write_documents(const char* stream, const std::vector<Document>& documents);
  void tell_changes();
  void describe_consistency(repository::Summary& summary);
  void warn(std::string line) {
    task_.warn(line);
    summary_.warnings.push_back(std::move(line));
  }

  const SourceSettings& source_;
  const Scope& scope_;
  repository::ArtifactWriter& writer_;
  util::Task& task_;
  Client client_;
  repository::Summary summary_;
  std::vector<Collection> collections_;
  std::vector<const Collection*> pending_;  // not read yet
  std::map<std::string, repository::StreamInfo> done_;
  std::optional<Timestamp> at_;        // of snapshot reads
  std::optional<Timestamp> position_;  // of the oplog, before the first read
  std::string no_snapshot_;            // why there are no snapshot reads
  std::string no_oplog_;               // why there is no oplog
  std::unique_ptr<OplogCopy> oplog_;
  std::optional<OplogCopy::Result> replay_;
};

void Backup::read_schema() {
  auto all = list_collections(client_, true);
  if (all.empty() && database_is_missing(client_)) {
    throw Error(
        ErrorCode::not_found,
        cat("the server has no database \"", util::printable(client_.database()), "\""),
        "check the name at the end of the URL; a database without collections does not exist");
  }
  collections_ = choose(std::move(all), scope_);
  for (const Collection& collection : collections_) {
    if (!collection.is_view()) pending_.push_back(&collection);
  }
  task_.progress().streams_total = pending_.size();
}

// The primary's log: a secondary may be behind the log that another member shows.
std::optional<Timestamp> Backup::primary_position() {
  try {
    Client primary(source_.endpoint, Client::Purpose::write, task_.stop());
    return oplog_position(primary, no_oplog_);
  } catch (const ServerError&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
    no_oplog_ = cat("the primary, whose oplog would be copied, is not there: ", error.message());
    return std::nullopt;
  }
}

// In the order of preference: all at one time; as they come, with the log of that time; as they
// come.
void Backup::choose_consistency() {
  if (pending_.empty()) return;
  at_ = choose_snapshot_time(client_, collections_, no_snapshot_);
  // A position before the reads is needed in any case: snapshots can expire.
  position_ = at_;
  if (!at_) {
    position_ = primary_position();
    if (position_) task_.info(cat("no snapshot: ", no_snapshot_, "; copying the oplog instead"));
  }
}

void Backup::begin_oplog(Timestamp from) {
  if (!scope_.where.empty()) {
    no_oplog_ = "the oplog cannot be copied for a choice of documents (--where)";
    return;
  }
  if (!primary_position()) return;
  oplog_ = std::make_unique<OplogCopy>(source_.endpoint, from, writer_, task_.stop());
}

void Backup::read_at_time() {
  std::vector<const Collection*> able;
  std::vector<const Collection*> rest;
  for (const Collection* one : pending_) {
    (can_read_at_time(client_, *one) ? able : rest).push_back(one);
  }
  const auto expired = read(able, {.at = at_, .by_id = false});
  if (!expired.empty()) {
    task_.info(cat(expired.size(), " of ", able.size(),
                   " collections could not be read at the snapshot's time (minSnapshotHistory"
                   "WindowInSeconds is too short for them); reading them with the oplog"));
  }
  rest.insert(rest.end(), expired.begin(), expired.end());
  pending_ = std::move(rest);
}

void Backup::read_blurred() {
  if (pending_.empty()) return;
  if (position_) begin_oplog(*position_);
  const auto unread = read(pending_, {.at = std::nullopt, .by_id = true});
  if (unread.empty()) return;
  throw Error(ErrorCode::unavailable,
              cat("collection ", util::printable(unread.front()->name), " cannot be read"));
}

// Returns those whose snapshot has expired.
std::vector<const Collection*> Backup::read(const std::vector<const Collection*>& collections,
                                            const ReadMode& mode) {
  std::vector<Reading> readings(collections.size());
  std::vector<Unit> units;
  std::vector<const Collection*> expired;
  for (std::size_t i = 0; i < collections.size(); ++i) {
    Reading& reading = readings[i];
    reading.collection = collections[i];
    reading.filter = filter_of(scope_, collections[i]->name);
    try {
      reading.ranges = cut_into_ranges(client_, *collections[i], mode, source_.ranges);
    } catch (const ServerError& error) {
      if (!mode.at || (error.number() != kSnapshotTooOld && error.number() != kSnapshotUnavailable))
        throw;
      expired.push_back(collections[i]);
      continue;
    }
    reading.assembly = std::make_unique<Assembly>(writer_, data_stream(collections[i]->name),
                                                  reading.ranges.size());
    for (std::size_t range = 0; range < reading.ranges.size(); ++range) {
      units.push_back([this, &reading, range, &mode](Client& client, const std::stop_token& stop) {
        read_range(client, reading, range, mode, stop);
      });
    }
  }
  const auto purpose = oplog_ ? Client::Purpose::write : Client::Purpose::read;
  work_off(source_.endpoint, purpose, scope_.parallel, units, task_);
  for (const Reading& reading : readings) {
    if (!reading.assembly) continue;
    if (reading.assembly->result()) {
      done_[reading.collection->name] = *reading.assembly->result();
    } else {
      expired.push_back(reading.collection);
    }
  }
  return expired;
}

void Backup::read_range(Client& client, Reading& reading, std::size_t range, const ReadMode& mode,
                        const std::stop_token& stop) {
  if (reading.assembly->abandoned()) return;
  const Document command =
      find_command(*reading.collection, mode, reading.ranges[range], reading.filter);
  try {
    each_batch(client, client.database(), command, [&](const Batch& batch) {
      if (oplog_) oplog_->check();
      task_.progress().rows += batch.documents;
      task_.progress().bytes += batch.list.size();
      return reading.assembly->add(range, batch, stop);
    });
    reading.assembly->finish(range, stop);
  } catch (const ServerError& error) {
    if (!mode.at || (error.number() != kSnapshotTooOld && error.number() != kSnapshotUnavailable))
      throw;
    reading.assembly->abandon();
    return;
  }
  if (range + 1 == reading.ranges.size()) ++task_.progress().streams_done;
}

void Backup::write_documents(const char* stream, const std::vector<Document>& documents) {
  const auto writer = writer_.open(stream, StreamKind::bson, {});
  for (const Document& document : documents) {
    writer->write(document.view());
    writer->end_row();
  }
  writer->close();
}

void Backup::write_schema() {
  std::vector<Document> documents;
  for (const Collection& collection : collections_) documents.push_back(to_document(collection));
  write_documents(kSchemaStream, documents);
}

// Users and roles of a database are documents of admin.system.users and .roles, with the
// credentials that usersInfo shows only to some.
void Backup::write_users() {
  if (!source_.users || !scope_.everything()) return;
  const Document mine = Document().text("db", client_.database());
  try {
    const auto users = all_rows(client_, "admin",
                                Document().text("find", "system.users").document("filter", mine));
    const auto roles = all_rows(client_, "admin",
                                Document().text("find", "system.roles").document("filter", mine));
    write_documents(kUsersStream, users);
    write_documents(kRolesStream, roles);
  } catch (const ServerError& error) {
    if (!error.is_missing_feature() && error.number() != kNamespaceNotFound) throw;
    warn(cat("users and roles are not in this backup: ", error.message()));
  }
}

// Snapshots and the oplog cover documents; options and indexes are those of the beginning.
void Backup::tell_changes() {
  std::map<std::string, Document> now;
  for (const Collection& collection : list_collections(client_, true)) {
    Document form = collection.normal_form();
    if (collection.uuid) form.document("info", *collection.uuid);
    now.emplace(collection.name, std::move(form));
  }
  for (const Collection& collection : collections_) {
    const auto found = now.find(collection.name);
    Document form = collection.normal_form();
    if (collection.uuid) form.document("info", *collection.uuid);
    if (found != now.end() && found->second == form) continue;
    warn(cat("collection ", util::printable(collection.name),
             found == now.end() ? " was dropped" : " got other options or indexes",
             " while the backup was reading; the backup has it as it was at the beginning"));
  }
}

void Backup::describe_consistency(repository::Summary& summary) {
  if (replay_) {
    summary.consistency_kind = "oplog";
    summary.consistency_position = cat("oplog ", replay_->from.text(), " to ", replay_->to.text());
    task_.info(cat("copied ", replay_->entries, " oplog entries, which a restore replays"));
    return;
  }
  if (pending_.empty() && (at_ || collections_.empty() || done_.empty())) {
    summary.consistency_kind = "snapshot";
    if (at_) summary.consistency_position = cat("atClusterTime ", at_->text());
    return;
  }
  summary.consistency_kind = "none";
  std::string names;
  for (const Collection* collection : pending_) {
    if (!names.empty()) names += ", ";
    names += util::printable(collection->name);
  }
  if (at_) {
    warn(cat("not one point in time: these collections were read later than the others: ", names,
             " (", no_oplog_, ")"));
  } else {
    warn(cat("not one point in time: ", no_snapshot_, "; ", no_oplog_,
             "; writes during the backup may be in it or not"));
  }
}

repository::Summary Backup::run() {
  read_schema();
  choose_consistency();
  if (at_) read_at_time();
  util::kill_point("mongodb-reading");
  read_blurred();
  write_schema();
  write_users();
  tell_changes();
  if (oplog_) replay_ = oplog_->finish();

  const ServerInfo& server = client_.server();
  summary_.server_version =
      server.product == "MongoDB" ? server.version : cat(server.version, " (", server.product, ")");
  describe_consistency(summary_);
  if (server.router) {
    warn(
        "shard keys, zones and chunk ranges are not in this backup: a restore gives collections "
        "that are not sharded");
  }
  for (const auto& [name, info] : done_) {
    const auto hash = repository::RowHash::from_hex(info.hash, info.rows);
    if (!hash) throw Error(ErrorCode::internal, cat("stream ", info.name, " has no row hash"));
    summary_.proof.push_back({name, *hash});
    summary_.rows += info.rows;
  }
  summary_.engine_data = {{"database", source_.endpoint.database}, {"oplog", replay_.has_value()}};
  return std::move(summary_);
}
}  // namespace

std::string data_stream(const std::string& collection) { return cat("data/", collection); }

repository::Summary back_up_database(const SourceSettings& source, const Scope& scope,
                                     repository::ArtifactWriter& writer, util::Task& task) {
  for (const auto& [name, condition] : scope.where) filter_of(scope, name);  // refused early
  return Backup(source, scope, writer, task).run();
}

std::vector<repository::TableProof> prove(const Endpoint& endpoint, Client::Purpose purpose,
                                          const std::vector<Collection>& collections,
                                          const Scope& scope, util::Task& task) {
  std::vector<repository::TableProof> proofs;
  std::vector<const Collection*> read;
  for (const Collection& collection : collections) {
    if (collection.is_view()) continue;
    proofs.push_back({collection.name, {}});
    read.push_back(&collection);
  }
  std::vector<Unit> units;
  for (std::size_t i = 0; i < read.size(); ++i) {
    units.push_back([&, i](Client& client, const std::stop_token&) {
      repository::RowHash& hash = proofs[i].hash;
      const Document command = find_command(*read[i], {}, {}, filter_of(scope, read[i]->name));
      each_batch(client, client.database(), command, [&](const Batch& batch) {
        task.progress().rows += batch.documents;
        return each_row(batch, [&](ByteView document) {
          hash.add(document);
          return true;
        });
      });
    });
  }
  work_off(endpoint, purpose, scope.parallel, units, task);
  return proofs;
}

}  // namespace dbbackup::engine::mongodb
