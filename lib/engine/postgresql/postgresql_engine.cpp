#include "engine/postgresql/postgresql_engine.hpp"

#include "engine/postgresql/artifact_tables.hpp"
#include "engine/postgresql/backup.hpp"
#include "engine/postgresql/probe.hpp"
#include "engine/postgresql/restore.hpp"
#include "engine/postgresql/target.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
class PostgresqlEngine : public Engine {
 public:
  explicit PostgresqlEngine(Login login) : login_(std::move(login)) {}

  Probe probe(util::Task& task) override { return probe_database(login_, task); }

  std::vector<Table> inventory(const Scope& scope, util::Task& task) override {
    const auto connection = open_session(login_, login_.database, task.stop());
    std::vector<Table> tables;
    for (const StoredTable& table : choose(read_tables(*connection), scope)) {
      std::vector<std::string> columns;
      for (const TableColumn& column : table.columns) columns.push_back(column.name);
      tables.push_back({table.id(), table.bytes, std::move(columns)});
    }
    return tables;
  }

  repository::Summary back_up(const Scope& scope, repository::ArtifactWriter& writer,
                              util::Task& task) override {
    return back_up_database(login_, scope, writer, task);
  }

  RestorePlan plan_restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task) override {
    return plan_database_restore(login_, reader, request, task);
  }

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    return restore_database(login_, reader, request, task);
  }

  std::vector<repository::TableProof> fingerprint(const Scope& scope, util::Task& task) override {
    return fingerprint_database(login_, scope, task);
  }

 protected:
  const Login login_;
};

// A database of its own beside the server's others, for one drill.
class ScratchEngine final : public PostgresqlEngine {
 public:
  using PostgresqlEngine::PostgresqlEngine;

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    reserve(task);
    return PostgresqlEngine::restore(reader, request, task);
  }

  void remove_scratch(util::Task& task) override {
    if (!server_) return;
    server_->set_stop(task.stop());
    server_->drop(login_.database);
    server_.reset();
  }

 private:
  void reserve(util::Task& task) {
    server_.emplace(login_, task);
    server_->drop_leftovers(task);
    server_->reserve(login_.database);
  }
  std::optional<Server> server_;
};
}  // namespace

Entry entry() {
  Entry entry;
  entry.engine = "postgresql";
  entry.schemes = {"postgresql", "postgres"};
  entry.options = postgresql_options();
  entry.parse = parse_postgresql_url;
  entry.make = [](const Address& address, const Settings& settings) -> std::unique_ptr<Engine> {
    return std::make_unique<PostgresqlEngine>(make_login(address, settings));
  };
  entry.scratch_needs_server = true;
  entry.make_scratch = [](const ScratchPlace& place,
                          const Settings& settings) -> std::unique_ptr<Engine> {
    Login login = make_login(place.server.value(), settings);
    login.database = scratch_name(place.name);
    return std::make_unique<ScratchEngine>(std::move(login));
  };
  entry.open_tables = open_artifact_tables;
  return entry;
}

}  // namespace dbbackup::engine::postgresql
