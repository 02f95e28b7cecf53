#include "engine/postgresql/restore.hpp"

#include <algorithm>

#include "engine/postgresql/extras.hpp"
#include "engine/postgresql/loader.hpp"
#include "engine/postgresql/target.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

Error not_empty(const Login& login) {
  return {ErrorCode::refused, cat("the target database ", login.shown(), " is not empty"),
          "use --mode replace to overwrite it, --mode append to add rows, or another target"};
}

// A database under construction goes again when the restore does not reach its end.
class NewDatabase {
 public:
  NewDatabase(Server& server, std::string name) : server_(server), name_(std::move(name)) {}
  ~NewDatabase() {
    if (kept_) return;
    try {
      server_.set_stop({});
      server_.drop(name_);
    } catch (const std::exception&) {
      // The failure that led here is the one to tell; the next run drops what it finds.
    }
  }
  NewDatabase(const NewDatabase&) = delete;
  NewDatabase& operator=(const NewDatabase&) = delete;
  const std::string& name() const { return name_; }
  void keep() { kept_ = true; }

 private:
  Server& server_;
  const std::string name_;
  bool kept_ = false;
};

RestoreResult load_into_new(const Login& login, const std::string& database,
                            repository::ArtifactReader& reader, const StoredDatabase& stored,
                            const RestoreRequest& request, util::Task& task) {
  Loader loader(login, database, reader, stored, request, true, task);
  return loader.load();
}

RestoreResult restore_into_new(const Login& login, repository::ArtifactReader& reader,
                               const StoredDatabase& stored, const RestoreRequest& request,
                               util::Task& task) {
  Server server(login, task);
  const auto properties = read_lines(reader, kDatabaseStream, task);
  server.create(login.database, properties);
  NewDatabase made(server, login.database);
  RestoreResult result = load_into_new(login, login.database, reader, stored, request, task);
  if (stored.all) server.set_properties(login.database, properties, login.no_owner);
  made.keep();
  return result;
}

void require_same(const std::vector<repository::TableProof>& sealed,
                  const std::vector<repository::TableProof>& found) {
  for (const repository::TableProof& proof : sealed) {
    if (std::find(found.begin(), found.end(), proof) != found.end()) continue;
    throw Error(ErrorCode::verification_failed,
                cat("table ", util::printable(proof.name),
                    " came out different; the target was left as it was"));
  }
}

// The new one is complete and proved before the old one goes.
RestoreResult restore_in_place_of(const Login& login, repository::ArtifactReader& reader,
                                  const StoredDatabase& stored, const RestoreRequest& request,
                                  util::Task& task) {
  Server server(login, task);
  server.drop_leftovers(task);
  const std::string name = scratch_name(server.unique_word());
  server.reserve(name);
  const auto properties = read_lines(reader, kDatabaseStream, task);
  server.create(name, properties);
  NewDatabase made(server, name);
  RestoreResult result = load_into_new(login, name, reader, stored, request, task);
  require_same(reader.summary().proof, result.fingerprint);
  server.set_properties(name, properties, login.no_owner);
  server.replace(login.database, name);
  made.keep();
  return result;
}

RestoreResult restore_into_present(const Login& login, repository::ArtifactReader& reader,
                                   const StoredDatabase& stored, const RestoreRequest& request,
                                   util::Task& task) {
  Loader loader(login, login.database, reader, stored, request, false, task);
  switch (request.mode) {
    case RestoreMode::create:
      if (!loader.is_empty()) throw not_empty(login);
      return loader.load();
    case RestoreMode::replace:
      loader.drop_tables();
      return loader.load();
    case RestoreMode::append:
      return loader.append();
  }
  throw Error(ErrorCode::internal, "unknown restore mode");
}
}  // namespace

RestoreResult restore_database(const Login& login, repository::ArtifactReader& reader,
                               const RestoreRequest& request, util::Task& task) {
  task.check();
  const StoredDatabase stored = read_stored(reader, request.scope, task);
  const bool there = connect_if_there(login, login.database, task.stop()) != nullptr;
  if (!there) return restore_into_new(login, reader, stored, request, task);
  if (stored.all && request.mode == RestoreMode::replace) {
    return restore_in_place_of(login, reader, stored, request, task);
  }
  return restore_into_present(login, reader, stored, request, task);
}

RestorePlan plan_database_restore(const Login& login, repository::ArtifactReader& reader,
                                  const RestoreRequest& request, util::Task& task) {
  const StoredDatabase stored = read_stored(reader, request.scope, task);
  RestorePlan plan;
  for (const StoredTable& table : stored.tables) plan.tables.push_back(table.id());
  const auto connection = connect_if_there(login, login.database, task.stop());
  plan.target_exists = connection != nullptr;
  std::vector<std::string> present;
  if (plan.target_exists) {
    Loader loader(login, login.database, reader, stored, request, false, task);
    plan.target_empty = loader.is_empty();
    present = loader.tables_present();
  }
  const std::string target = login.shown();
  if (!plan.target_exists) {
    plan.steps.push_back(cat("Create database ", target, "."));
  } else if (stored.all && request.mode == RestoreMode::replace) {
    plan.steps.push_back("Create a database under another name on the same server.");
  } else if (request.mode == RestoreMode::replace && !present.empty()) {
    plan.steps.push_back(cat("Drop ", util::printable(util::join(present, ", ")), "."));
  }
  if (stored.all && request.mode != RestoreMode::append) {
    plan.steps.push_back(cat("Create all ", stored.definitions.list.size(), " definitions."));
  } else {
    std::vector<std::string> left_out;
    const auto needed = closure(stored.definitions, stored.names(), left_out);
    plan.steps.push_back(cat("Create those of ", needed.size(),
                             " definitions (the tables and what they depend on) that the target "
                             "does not have."));
    for (const std::string& name : left_out) {
      plan.steps.push_back(cat("Leave out ", name, ": it refers to a table that is not restored."));
    }
  }
  plan.steps.push_back(request.mode == RestoreMode::append
                           ? "Append the rows in one transaction."
                           : cat("Load the rows with ", request.scope.parallel, " connections."));
  plan.steps.push_back("Build indexes and constraints, read the rows back and compare.");
  if (plan.target_exists && stored.all && request.mode == RestoreMode::replace) {
    plan.steps.push_back(cat("End all sessions of ", target,
                             ", let the new database take its name, "
                             "and drop the old one."));
  }
  return plan;
}

}  // namespace dbbackup::engine::postgresql
