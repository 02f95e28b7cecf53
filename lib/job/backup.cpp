#include "job/anomaly.hpp"
#include "job/artifact_record.hpp"
#include "job/control_backup.hpp"
#include "job/origin.hpp"
#include "job/retention.hpp"
#include "job/verbs.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
namespace json = util::json;

namespace {
// "shop@db1--20261121T093300Z": says what, where from and when, also in a file listing.
std::string artifact_name(const std::string& database, const std::string& host,
                          util::TimePoint at) {
  std::string stamp;
  for (const char c : util::format_rfc3339(at).substr(0, 19)) {
    if (c != '-' && c != ':') stamp.push_back(c);
  }
  return cat(database, "@", host, "--", stamp, "Z");
}
// What follows a backup that succeeded. The artifact is safe; trouble here is told and never takes
// the success back.
void settle(Services& services, Run& run, util::Task& task) {
  try {
    if (!run.job.empty()) {
      apply_retention(services, plan_retention(services, run.job, run.id), run.repository, task);
    }
    back_up_control(services, run.repository, run.id, task);
  } catch (const util::Error& error) {
    run.warnings.push_back(cat("after the backup: ", error.message()));
    task.warn(run.warnings.back());
  }
}

// What an artifact was not asked to hold, so that nobody takes a part for the whole.
std::vector<std::pair<std::string, std::string>> left_out(const engine::Scope& scope) {
  std::vector<std::pair<std::string, std::string>> parts;
  if (!scope.include.empty()) {
    parts.emplace_back("*", cat(repository::kNotWanted, "only ", util::join(scope.include, ", ")));
  }
  for (const std::string& pattern : scope.exclude)
    parts.emplace_back(pattern, cat(repository::kNotWanted, "excluded"));
  for (const auto& [table, condition] : scope.where) {
    parts.emplace_back(table, cat(repository::kNotWanted, "only rows where ", condition));
  }
  return parts;
}
}  // namespace

RunState back_up(Services& services, Run& run, const Request& request, util::Task& task) {
  catalog::Database database = services.catalog.database(run.database);
  const json::Object origin = origin_of(database, services.catalog.find_job(run.job));
  // Engines let later options win.
  database.options.insert(database.options.end(), request.options.begin(), request.options.end());
  const std::unique_ptr<engine::Engine> engine = services.engine_for(database);
  const std::shared_ptr<repository::Repository> repository =
      services.repositories.get(run.repository);

  repository::ArtifactIdentity identity;
  identity.id = services.ids.next();
  identity.started = services.clock.now();
  identity.name = artifact_name(database.name, services.host, identity.started);
  identity.database = database.name;
  identity.job = run.job;
  identity.run = run.id;
  identity.engine = database.engine;
  identity.type = run.type;
  identity.origin = origin;
  task.info(cat("backing up ", database.name, " (", database.engine, ") into ", run.repository));

  const std::unique_ptr<repository::ArtifactWriter> writer = repository->begin(identity, task);
  repository::Summary summary = engine->back_up(request.scope, *writer, task);
  task.check();
  // What the engine could not read makes the run partial; what nobody wanted does not.
  const auto missed = summary.skipped;
  for (auto& part : left_out(request.scope)) summary.skipped.push_back(std::move(part));
  judge(services, run, summary, task);
  // A daemon that was stopped for so long that another one took its place must not add to its work.
  services.catalog.require_lease();
  const repository::Committed committed = repository->commit(*writer, summary);

  const catalog::Artifact artifact = artifact_record(committed.manifest, run.repository);
  services.catalog.put_artifact(artifact);
  note_suspicions(services, artifact);
  run.artifact = identity.id;
  run.warnings = summary.warnings;
  for (const auto& [name, reason] : missed) {
    run.warnings.push_back(cat("skipped ", util::printable(name), ": ", reason));
  }
  task.info(cat("sealed ", identity.id, ": ", committed.manifest.rows, " rows, ",
                util::format_size(committed.manifest.source_bytes), " read, ",
                util::format_size(committed.added_bytes), " added to the repository"));
  if (!missed.empty()) return RunState::partial;
  settle(services, run, task);
  return RunState::succeeded;
}

}  // namespace dbbackup::job
