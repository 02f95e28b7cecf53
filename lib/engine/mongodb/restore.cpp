#include "engine/mongodb/restore.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "engine/mongodb/backup.hpp"
#include "engine/mongodb/loader.hpp"
#include "engine/mongodb/oplog.hpp"
#include "engine/mongodb/replay.hpp"
#include "engine/mongodb/stored_documents.hpp"
#include "engine/mongodb/users.hpp"
#include "engine/mongodb/workers.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using repository::ArtifactReader;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;
using util::printable;

bool has_stream(const ArtifactReader& reader, const std::string& name) {
  const auto& streams = reader.streams();
  return std::any_of(streams.begin(), streams.end(),
                     [&](const repository::StreamInfo& stream) { return stream.name == name; });
}

std::string source_database(const ArtifactReader& reader) {
  return util::json::get_string(reader.summary().engine_data, "database").value_or("");
}

class Restore {
 public:
  Restore(const TargetSettings& target, ArtifactReader& reader, const RestoreRequest& request,
          util::Task& task)
      : target_(target),
        reader_(reader),
        request_(request),
        task_(task),
        client_(target.endpoint, Client::Purpose::write, task.stop()),
        chosen_(stored_collections(reader, request.scope, task)),
        existing_(list_collections(client_, false)) {}

  RestoreResult run();
  RestorePlan plan();

 private:
  void clear_target();
  void create_collections();
  void load();
  void replay();
  void create_indexes();
  void create_views();
  void set_validators();
  void restore_users();
  void wait_for_majority();
  void compare_schema();
  bool whole_replace() const {
    return request_.mode == RestoreMode::replace && request_.scope.everything();
  }
  bool exists(const std::string& name) const {
    return std::any_of(existing_.begin(), existing_.end(),
                       [&](const Collection& one) { return one.name == name; });
  }
  void warn(std::string line) {
    task_.warn(line);
    result_.warnings.push_back(std::move(line));
  }

  const TargetSettings& target_;
  ArtifactReader& reader_;
  const RestoreRequest& request_;
  util::Task& task_;
  Client client_;
  const std::vector<Collection> chosen_;
  std::vector<Collection> existing_;
  RestoreResult result_;
};

// Those that stand in the way: views first, because they refer to the others.
void Restore::clear_target() {
  if (request_.mode == RestoreMode::append) return;
  if (request_.mode == RestoreMode::create) {
    if (existing_.empty()) return;
    throw Error(
        ErrorCode::refused,
        cat("the target database ", printable(client_.database()), " already holds ",
            existing_.size(), " collections"),
        "use --mode replace to drop them, --mode append to add documents, or another target");
  }
  std::stable_partition(existing_.begin(), existing_.end(),
                        [](const Collection& one) { return one.is_view(); });
  std::vector<Collection> kept;
  for (const Collection& one : existing_) {
    const bool named = std::any_of(chosen_.begin(), chosen_.end(),
                                   [&](const Collection& mine) { return mine.name == one.name; });
    if (!whole_replace() && !named) {
      kept.push_back(one);
      continue;
    }
    task_.check();
    client_.command(Document().text("drop", one.name));
  }
  existing_ = std::move(kept);
}

void Restore::create_collections() {
  for (const Collection& one : chosen_) {
    if (one.is_view() || exists(one.name)) continue;
    task_.check();
    client_.command(Document()
                        .text("create", one.name)
                        .all_but(one.options.view(), {"validator", "validationLevel",
                                                      "validationAction", "autoIndexId", "uuid"}));
  }
}

void Restore::load() {
  std::vector<Load> loads;
  for (const Collection& one : chosen_) {
    if (!one.is_view()) loads.push_back({data_stream(one.name), one.name, one.storage_name()});
  }
  if (!loads.empty()) {
    load_streams(target_.endpoint, reader_, loads, request_.scope.parallel, task_);
  }
}

void Restore::replay() {
  if (!has_stream(reader_, kOplogStream)) return;
  std::set<std::string> known;
  std::set<std::string> mine;
  for (const Collection& one : stored_collections(reader_, {}, task_))
    known.insert(one.storage_name());
  for (const Collection& one : chosen_) mine.insert(one.storage_name());
  const bool all = request_.scope.everything();
  const ReplayTarget target{source_database(reader_), [&](const std::string& name) {
                              return mine.contains(name) ||
                                     (all && !known.contains(name) && !name.starts_with("system."));
                            }};
  const std::uint64_t changes = replay_oplog(client_, reader_, target, task_);
  task_.info(cat("replayed ", changes, " changes that were made while the backup was reading (",
                 reader_.summary().consistency_position, ")"));
}

// One command per collection: the server then reads the collection once for all of its indexes.
void Restore::create_indexes() {
  std::vector<Unit> units;
  for (const Collection& one : chosen_) {
    std::vector<Document> specs;
    for (const Document& index : one.indexes) {
      // The index of _id comes with the collection, and so does a clustered one.
      if (find_text(index.view(), "name") == "_id_" || find_truth(index.view(), "clustered"))
        continue;
      specs.push_back(Document().all_but(index.view(), {"ns"}));
    }
    if (specs.empty()) continue;
    units.push_back([command = Document().text("createIndexes", one.name).array("indexes", specs)](
                        Client& client, const std::stop_token&) { client.command(command); });
  }
  work_off(target_.endpoint, Client::Purpose::write, request_.scope.parallel, units, task_);
}

void Restore::create_views() {
  for (const Collection& one : chosen_) {
    if (!one.is_view()) continue;
    if (exists(one.name)) {
      warn(cat("view ", printable(one.name), " exists already and was left as it is"));
      continue;
    }
    client_.command(Document().text("create", one.name).all_but(one.options.view(), {}));
  }
}

void Restore::set_validators() {
  for (const Collection& one : chosen_) {
    if (one.is_view() || exists(one.name) || !find(one.options.view(), "validator")) continue;
    Document command;
    command.text("collMod", one.name);
    for (const std::string_view name : {"validator", "validationLevel", "validationAction"}) {
      if (const auto option = find(one.options.view(), name)) command.element(*option);
    }
    client_.command(command);
  }
}

void Restore::restore_users() {
  if (!request_.scope.everything() || target_.scratch || !has_stream(reader_, kUsersStream)) return;
  const UsersOutcome outcome = target_.users && client_.database() == source_database(reader_)
                                   ? merge_users(client_, reader_, task_)
                                   : count_users(reader_, task_);
  if (outcome.users + outcome.roles == 0) return;
  const std::string what = cat(outcome.users, " users and ", outcome.roles, " roles");
  if (outcome.restored) {
    task_.info(cat("restored ", what));
  } else {
    warn(cat(what,
             " of the artifact were not restored: set option restore_users=yes, and restore "
             "into a database of the same name"));
  }
}

// Batches are acknowledged by the primary alone; one write at the end that a majority must have
// covers them all. Source: mongodb.com/docs/manual/reference/write-concern.
void Restore::wait_for_majority() {
  if (client_.server().set_name.empty() && !client_.server().router) return;
  const auto any = std::find_if(chosen_.begin(), chosen_.end(),
                                [](const Collection& one) { return one.has_id_index(); });
  if (any == chosen_.end()) return;
  const Document id_index =
      Document().document("key", Document().int32("_id", 1)).text("name", "_id_");
  const Reply reply = client_.command(
      Document()
          .text("createIndexes", any->name)
          .array("indexes", {id_index})
          .document("writeConcern", Document().text("w", "majority").int32("wtimeout", 300000)));
  if (const auto error = find_path(reply.view(), {"writeConcernError", "errmsg"})) {
    warn(cat("not confirmed by a majority of the replica set yet: ",
             printable(error->text().value_or(""))));
  }
}

// What stands there must have the options and indexes that were asked for.
void Restore::compare_schema() {
  std::map<std::string, Collection> now;
  for (Collection& one : list_collections(client_, true)) now.emplace(one.name, std::move(one));
  for (const Collection& wanted : chosen_) {
    if (exists(wanted.name)) continue;
    const auto found = now.find(wanted.name);
    if (found == now.end()) {
      // The replayed oplog may have dropped it.
      if (has_stream(reader_, kOplogStream)) continue;
      throw Error(ErrorCode::verification_failed,
                  cat("collection ", printable(wanted.name), " is missing after the restore"));
    }
    if (found->second.normal_form() == wanted.normal_form()) continue;
    warn(cat("collection ", printable(wanted.name),
             " has other options or indexes than in the artifact; the server shows ",
             printable(canonical_json(found->second.normal_form().view())), " instead of ",
             printable(canonical_json(wanted.normal_form().view()))));
  }
}

RestoreResult Restore::run() {
  if (client_.server().product != "MongoDB" || reader_.summary().server_version.empty()) {
    task_.info(cat("the target is ", client_.server().product));
  }
  clear_target();
  create_collections();
  util::kill_point("mongodb-created");
  load();
  if (request_.mode != RestoreMode::append) {
    // Before indexes: one with a time to live would begin to remove documents.
    result_.fingerprint =
        prove(target_.endpoint, Client::Purpose::write, chosen_, request_.scope, task_);
  }
  replay();
  create_indexes();
  set_validators();
  create_views();
  restore_users();
  wait_for_majority();
  compare_schema();
  return std::move(result_);
}

RestorePlan Restore::plan() {
  RestorePlan plan;
  plan.target_exists = true;
  plan.target_empty = existing_.empty();
  std::size_t indexes = 0;
  std::size_t views = 0;
  for (const Collection& one : chosen_) {
    plan.tables.push_back(one.name);
    indexes += one.indexes.size();
    views += one.is_view() ? 1 : 0;
  }
  if (request_.mode == RestoreMode::replace && !existing_.empty()) {
    plan.steps.push_back(whole_replace()
                             ? cat("Drop all ", existing_.size(), " collections of ",
                                   printable(client_.database()), ".")
                             : "Drop those of the chosen collections that exist; others stay.");
  }
  plan.steps.push_back(
      cat("Create ", chosen_.size() - views, " collections and insert their documents."));
  if (request_.mode != RestoreMode::append) {
    plan.steps.push_back("Read them back and compare counts and hashes.");
  }
  if (has_stream(reader_, kOplogStream)) {
    plan.steps.push_back("Replay the oplog that was copied during the backup.");
  }
  plan.steps.push_back(cat("Create ", indexes, " indexes, validators and ", views, " views."));
  return plan;
}
}  // namespace

std::vector<Collection> stored_collections(ArtifactReader& reader, const Scope& scope,
                                           util::Task& task) {
  std::vector<Collection> collections;
  each_stored_document(reader, kSchemaStream, 1, task,
                       [&](ByteView document) { collections.push_back(to_collection(document)); });
  if (!scope.where.empty()) {
    throw Error(ErrorCode::unsupported, "a restore of MongoDB takes whole collections",
                "leave out --where; a backup can have conditions");
  }
  return choose(std::move(collections), scope);
}

RestorePlan plan_database_restore(const TargetSettings& target, ArtifactReader& reader,
                                  const RestoreRequest& request, util::Task& task) {
  return Restore(target, reader, request, task).plan();
}

RestoreResult restore_database(const TargetSettings& target, ArtifactReader& reader,
                               const RestoreRequest& request, util::Task& task) {
  return Restore(target, reader, request, task).run();
}

}  // namespace dbbackup::engine::mongodb
