#include "engine/mongodb/mongodb_engine.hpp"

#include <algorithm>

#include "engine/mongodb/archive.hpp"
#include "engine/mongodb/artifact_tables.hpp"
#include "engine/mongodb/backup.hpp"
#include "engine/mongodb/collections.hpp"
#include "engine/mongodb/oplog.hpp"
#include "engine/mongodb/reading.hpp"
#include "engine/mongodb/restore.hpp"
#include "engine/mongodb/url.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

std::uint64_t parse_range(const std::string& value) {
  if (value == "off") return 0;
  const auto size = util::parse_size(value);
  if (!size || *size < 65536 || *size > (std::uint64_t{1} << 30U)) {
    throw Error(ErrorCode::usage,
                cat("option range: \"", util::printable(value), "\" is not a size"),
                "64KiB to 1GiB, or off");
  }
  return *size;
}

bool parse_yes(const std::string& name, const std::string& value) {
  if (value == "yes") return true;
  if (value == "no") return false;
  throw Error(ErrorCode::usage,
              cat("option ", name, ": \"", util::printable(value), "\" is unknown"), "yes or no");
}

class MongoEngine final : public Engine {
 public:
  MongoEngine(Endpoint endpoint, const Options& options, bool scratch) {
    source_.endpoint = endpoint;
    target_.endpoint = std::move(endpoint);
    target_.scratch = scratch;
    for (const auto& [name, value] : options) {
      if (name == "range") source_.ranges = {parse_range(value), true};
      if (name == "users") source_.users = parse_yes(name, value);
      if (name == "restore_users") target_.users = parse_yes(name, value);
    }
  }

  Probe probe(util::Task& task) override;

  std::vector<Table> inventory(const Scope& scope, util::Task& task) override {
    Client client(source_.endpoint, Client::Purpose::read, task.stop());
    std::vector<Table> tables;
    for (const Collection& one : choose(list_collections(client, false), scope)) {
      if (!one.is_view()) tables.push_back({one.name, std::nullopt, {}});
    }
    return tables;
  }

  repository::Summary back_up(const Scope& scope, repository::ArtifactWriter& writer,
                              util::Task& task) override {
    return back_up_database(source_, scope, writer, task);
  }

  RestorePlan plan_restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task) override {
    return plan_database_restore(target_, reader, request, task);
  }

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    return restore_database(target_, reader, request, task);
  }

  std::vector<repository::TableProof> fingerprint(const Scope& scope, util::Task& task) override {
    Client client(source_.endpoint, Client::Purpose::read, task.stop());
    return prove(source_.endpoint, Client::Purpose::read,
                 choose(list_collections(client, false), scope), scope, task);
  }

  void remove_scratch(util::Task& task) override {
    if (!target_.scratch) return;
    Client client(target_.endpoint, Client::Purpose::write, task.stop());
    client.command(Document().int32("dropDatabase", 1));
  }

 private:
  SourceSettings source_;
  TargetSettings target_;
};

Check failed(std::string name, const Error& error) {
  return {std::move(name), false, error.message(), error.hint()};
}

Check consistency_check(Client& client, const std::vector<Collection>& collections) {
  std::string no_snapshot;
  std::string no_oplog;
  if (choose_snapshot_time(client, collections, no_snapshot)) {
    return {"consistency", true, "snapshot reads: backups show one point in time", {}};
  }
  if (oplog_position(client, no_oplog)) {
    return {"consistency",
            true,
            cat("no snapshot reads (", no_snapshot,
                "); backups copy the oplog to show one point in time"),
            {}};
  }
  return {"consistency", true,
          cat("backups are not one point in time: ", no_snapshot, "; ", no_oplog),
          "a replica set, also one of a single member, gives consistent backups"};
}

Probe MongoEngine::probe(util::Task& task) {
  Probe probe;
  probe.engine = "mongodb";
  try {
    Client client(source_.endpoint, Client::Purpose::read, task.stop());
    const ServerInfo& server = client.server();
    probe.server_version = server.version;
    probe.checks.push_back(
        {"server",
         true,
         cat(server.product, " ", server.version,
             server.router             ? ", router of a sharded cluster"
             : server.set_name.empty() ? ", standalone"
                                       : cat(", replica set ", util::printable(server.set_name))),
         {}});
    const auto collections = list_collections(client, false);
    const bool missing = collections.empty() && database_is_missing(client);
    probe.checks.push_back({"read", !missing,
                            missing
                                ? cat("there is no database ", util::printable(client.database()))
                                : cat(collections.size(), " collections and views"),
                            missing ? "a restore creates it; to back up, check the name" : ""});
    if (!missing) probe.checks.push_back(consistency_check(client, collections));
  } catch (const Error& error) {
    probe.checks.push_back(failed(probe.checks.empty() ? "server" : "read", error));
  }
  return probe;
}

std::unique_ptr<Engine> make(const Address& address, const std::string& database,
                             const Settings& settings, bool scratch) {
  return std::make_unique<MongoEngine>(Endpoint{address.url, database, settings.password},
                                       settings.options, scratch);
}
}  // namespace

Entry entry() {
  Entry entry;
  entry.engine = "mongodb";
  entry.schemes = {"mongodb", "mongodb+srv"};
  entry.options = {
      {"range", "how much of a large collection one reader takes at a time (32MiB), or off",
       [](const std::string& value) { parse_range(value); }},
      {"users", "whether a backup keeps the database's users and roles: yes (default) or no",
       [](const std::string& value) { parse_yes("users", value); }},
      {"restore_users", "whether a restore of everything brings them back: yes or no (default)",
       [](const std::string& value) { parse_yes("restore_users", value); }},
  };
  entry.parse = parse_mongodb_url;
  entry.make = [](const Address& address, const Settings& settings) {
    return make(address, address.database, settings, false);
  };
  entry.scratch_needs_server = true;
  entry.make_scratch = [](const ScratchPlace& place, const Settings& settings) {
    if (!place.server) throw Error(ErrorCode::internal, "no server for a scratch database");
    return make(*place.server, "dbbackup_drill_" + place.name, settings, true);
  };
  entry.open_tables = open_artifact_tables;
  entry.is_dump = is_mongodump_archive;
  entry.import_dump = read_mongodump_archive;
  return entry;
}

}  // namespace dbbackup::engine::mongodb
