#include "engine/mysql/mysql_engine.hpp"

#include "engine/mysql/artifact_tables.hpp"
#include "engine/mysql/backup.hpp"
#include "engine/mysql/checks.hpp"
#include "engine/mysql/restore.hpp"
#include "engine/mysql/schema.hpp"
#include "engine/mysql/scratch.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
class MySqlEngine : public Engine {
 public:
  MySqlEngine(std::string name, Place place, std::function<std::string()> password)
      : name_(std::move(name)), place_(std::move(place)), password_(std::move(password)) {}

  Probe probe(util::Task& task) override { return probe_database(name_, place_, password(), task); }

  std::vector<Table> inventory(const Scope& scope, util::Task& task) override {
    Run run(place_, password(), task);
    Connection connection(run.door(), place_.database);
    std::vector<Table> tables;
    for (const StoredTable& table :
         choose(read_schema(connection, place_.database), scope).tables) {
      std::vector<std::string> columns;
      for (const StoredColumn& column : table.columns) columns.push_back(column.name);
      tables.push_back({table.name, table.data_bytes, std::move(columns)});
    }
    return tables;
  }

  repository::Summary back_up(const Scope& scope, repository::ArtifactWriter& writer,
                              util::Task& task) override {
    return back_up_database(place_, password(), scope, writer, task);
  }

  RestorePlan plan_restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task) override {
    return plan_database_restore(place_, password(), reader, request, task);
  }

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    return restore_database(place_, password(), false, reader, request, task);
  }

  std::vector<repository::TableProof> fingerprint(const Scope& scope, util::Task& task) override {
    return fingerprint_database(place_, password(), scope, task);
  }

 protected:
  std::string password() const { return password_ ? password_() : std::string(); }
  const Place& place() const { return place_; }

 private:
  const std::string name_;
  const Place place_;
  const std::function<std::string()> password_;
};

class ScratchEngine final : public MySqlEngine {
 public:
  ScratchEngine(std::string engine, Place place, std::function<std::string()> password,
                const std::string& name)
      : MySqlEngine(std::move(engine), std::move(place), std::move(password)), name_(name) {}

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    scratch_.emplace(place().login, password(), name_);
    scratch_->begin(task);
    return restore_database(place(), password(), true, reader, request, task);
  }

  void remove_scratch(util::Task& task) override {
    if (scratch_) scratch_->remove(task);
  }

 private:
  const std::string name_;
  std::optional<Scratch> scratch_;
};

Entry entry(const std::string& name) {
  Entry entry;
  entry.engine = name;
  entry.schemes = {name};
  entry.options = mysql_options();
  entry.parse = parse_mysql_url;
  entry.make = [name](const Address& address, const Settings& settings) -> std::unique_ptr<Engine> {
    return std::make_unique<MySqlEngine>(name, place_of(address, settings.options),
                                         settings.password);
  };
  entry.scratch_needs_server = true;
  entry.make_scratch = [name](const ScratchPlace& scratch,
                              const Settings& settings) -> std::unique_ptr<Engine> {
    Place place = place_of(scratch.server.value(), settings.options);
    place.database = Scratch(place.login, {}, scratch.name).database();
    return std::make_unique<ScratchEngine>(name, std::move(place), settings.password, scratch.name);
  };
  entry.open_tables = open_artifact_tables;
  return entry;
}
}  // namespace

std::vector<Entry> entries() { return {entry("mysql"), entry("mariadb")}; }

}  // namespace dbbackup::engine::mysql
