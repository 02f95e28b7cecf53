#include "job/proof.hpp"
#include "job/restore.hpp"
#include "job/verbs.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
namespace json = util::json;

namespace {
std::string drill_report(std::size_t tables, const std::vector<Difference>& differences) {
  json::Array list;
  for (const Difference& difference : differences) {
    list.push_back(json::Object{{"table", difference.table}, {"what", difference.what}});
  }
  return json::write(json::Object{{"tables", tables}, {"differences", std::move(list)}});
}
// An engine of servers makes its scratch database beside the target, or beside the database the
// artifact came from; an engine of files restores into the folder, or into the target itself.
std::unique_ptr<engine::Engine> scratch_engine(Services& services, const Run& run,
                                               const Request& request,
                                               const repository::ArtifactReader& reader,
                                               const std::filesystem::path& folder) {
  engine::ScratchPlace place{folder.string(), run.id, std::nullopt};
  if (engine::scratch_needs_server(reader.engine())) {
    const std::string& name = request.target.empty() ? run.database : request.target;
    const std::optional<catalog::Database> server = services.catalog.find_database(name);
    if (!server) {
      throw util::Error(
          util::ErrorCode::not_found,
          cat("database \"", name, "\", beside which the drill would restore, is not known"),
          "name another one on a server of the same kind with --scratch");
    }
    require_same_engine(reader, *server);
    place.server = engine::parse_url(server->url);
    return engine::make_scratch_engine(reader.engine(), place, services.engine_settings(*server));
  }
  if (request.target.empty()) {
    engine::Settings settings;
    settings.protected_files = services.protected_files;
    return engine::make_scratch_engine(reader.engine(), place, settings);
  }
  const catalog::Database target = services.catalog.database(request.target);
  require_restore_allowed(target, services.clock.now());
  require_same_engine(reader, target);
  return services.engine_for(target);
}

// Leaves nothing behind, however the drill ended; what cannot be removed is told in the log.
class ScratchRemoval {
 public:
  ScratchRemoval(engine::Engine& engine, util::Task& task) : engine_(engine), task_(task) {}
  ScratchRemoval(const ScratchRemoval&) = delete;
  ScratchRemoval& operator=(const ScratchRemoval&) = delete;
  ~ScratchRemoval() {
    util::QuietTask quiet;
    try {
      engine_.remove_scratch(quiet.task());
    } catch (const std::exception& error) {
      task_.warn(cat("the drill's scratch space was not removed: ", error.what()));
    }
  }

 private:
  engine::Engine& engine_;
  util::Task& task_;
};
}  // namespace

RunState drill(Services& services, Run& run, const Request& request, util::Task& task) {
  const Source source = open_source(services, run.artifact, request, task.stop());
  const std::string id = source.reader->id();
  util::create_private_folder(services.scratch_folder);
  const util::TemporaryFolder scratch(services.scratch_folder, "drill-" + run.id);

  const std::unique_ptr<engine::Engine> engine =
      scratch_engine(services, run, request, *source.reader, scratch.path());
  const ScratchRemoval removal(*engine, task);

  task.info(cat("drill: restoring ", id, " to ",
                request.target.empty() ? std::string("scratch space") : request.target));
  engine::RestoreRequest wanted;
  wanted.scope.parallel = services.parallel;
  std::vector<Difference> differences;
  const bool into_target =
      !request.target.empty() && !engine::scratch_needs_server(source.reader->engine());
  try {
    if (into_target && !engine->plan_restore(*source.reader, wanted, task).target_empty) {
      throw util::Error(
          util::ErrorCode::refused, cat("database ", request.target, " is not empty"),
          "a drill overwrites nothing: name an empty database, or leave --scratch out");
    }
    const engine::RestoreResult result = engine->restore(*source.reader, wanted, task);
    run.warnings = result.warnings;
    differences = compare_proof(source.reader->summary().proof, result.fingerprint);
  } catch (const util::Error& error) {
    if (error.code() == util::ErrorCode::verification_failed) {
      services.catalog.set_artifact_state(id, catalog::ArtifactState::damaged, run.id);
    }
    throw;
  }
  run.result = drill_report(source.reader->summary().proof.size(), differences);
  if (!differences.empty()) {
    services.catalog.set_artifact_state(id, catalog::ArtifactState::damaged, run.id);
  }
  require_equal(differences, cat("the restored copy of ", id));
  if (source.artifact->state == catalog::ArtifactState::damaged) {
    // A drill reads what a restore needs, which is not every object: only verify clears the mark.
    run.warnings.push_back(
        cat("artifact ", id, " stays marked damaged until 'artifact verify' finds it sound"));
  } else {
    services.catalog.set_artifact_state(id, catalog::ArtifactState::proved, run.id);
  }
  task.info(cat("proved: all ", source.reader->summary().proof.size(),
                " row counts and content hashes are equal"));
  return RunState::succeeded;
}

}  // namespace dbbackup::job
