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
}  // namespace

RunState drill(Services& services, Run& run, const Request& request, util::Task& task) {
  const Source source = open_source(services, run.artifact, request);
  const std::string id = source.reader->id();
  util::create_private_folder(services.scratch_folder);
  const util::TemporaryFolder scratch(services.scratch_folder, "drill-" + run.id);

  std::unique_ptr<engine::Engine> engine;
  if (request.target.empty()) {
    engine::Settings settings;
    settings.protected_files = services.protected_files;
    engine =
        engine::make_scratch_engine(source.reader->engine(), scratch.path().string(), settings);
  } else {
    const catalog::Database target = services.catalog.database(request.target);
    require_restore_allowed(target, services.clock.now());
    require_same_engine(*source.reader, target);
    engine = services.engine_for(target);
  }

  task.info(cat("drill: restoring ", id, " to ",
                request.target.empty() ? std::string("scratch space") : request.target));
  engine::RestoreRequest wanted;
  wanted.scope.parallel = services.parallel;
  std::vector<Difference> differences;
  try {
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
    run.warnings.push_back(cat("artifact ", id, " stays marked damaged until 'artifact verify' finds it sound"));
  } else {
    services.catalog.set_artifact_state(id, catalog::ArtifactState::proved, run.id);
  }
  task.info(cat("proved: all ", source.reader->summary().proof.size(),
                " row counts and content hashes are equal"));
  return RunState::succeeded;
}

}  // namespace dbbackup::job
