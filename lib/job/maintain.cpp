#include <set>

#include "job/artifact_record.hpp"
#include "job/maintain.hpp"
#include "job/verbs.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
namespace json = util::json;

namespace {
// The other repository in which the catalog has this artifact: a copied folder holds the same ids.
std::optional<std::string> in_another(catalog::Catalog& catalog, const std::string& artifact,
                                      const std::string& repository) {
  const auto known = catalog.find_artifact(artifact);
  if (!known || known->repository == repository) return std::nullopt;
  return known->repository;
}
}  // namespace

std::optional<util::TimePoint> oldest_running_backup(catalog::Catalog& catalog,
                                                     const std::string& repository) {
  std::optional<util::TimePoint> oldest;
  for (const Run& run : catalog.runs({.unfinished = true})) {
    const bool writes =
        run.kind == catalog::RunKind::backup || run.kind == catalog::RunKind::import;
    if (!writes || run.repository != repository || !run.started_at) continue;
    if (!oldest || *run.started_at < *oldest) oldest = run.started_at;
  }
  return oldest;
}

json::Object prune_report(const repository::PruneReport& report) {
  return json::Object{{"condemned_packs", json::from_strings(report.condemned_packs)},
                      {"removed_objects", json::from_strings(report.removed_objects)},
                      {"repacked_bytes", report.repacked_bytes},
                      {"removable_bytes", report.removable_bytes},
                      {"kept_bytes", report.kept_bytes}};
}

RunState prune(Services& services, Run& run, const Request&, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  const repository::PruneReport report =
      repository->prune(false, oldest_running_backup(services.catalog, run.repository), task);
  run.result = json::write(prune_report(report));
  task.info(cat("removed ", report.removed_objects.size(), " objects, freed ",
                util::format_size(report.removable_bytes), ", kept ",
                util::format_size(report.kept_bytes)));
  return RunState::succeeded;
}

RunState rescan(Services& services, Run& run, const Request&, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  // The catalog is asked first: what a backup adds while the store is being listed must not look as
  // if it had vanished.
  const std::vector<catalog::Artifact> known =
      services.catalog.artifacts({.repository = run.repository});
  repository->rescan(task);
  std::set<std::string> found;
  for (const repository::Manifest& manifest : repository->list(task.stop())) {
    found.insert(manifest.id);
    if (const auto elsewhere = in_another(services.catalog, manifest.id, run.repository)) {
      run.warnings.push_back(
          cat("artifact ", manifest.id, " is also in repository ", *elsewhere, " and stays there"));
      continue;
    }
    services.catalog.put_artifact(artifact_record(manifest, run.repository));
  }
  std::size_t vanished = 0;
  for (const catalog::Artifact& artifact : known) {
    if (found.contains(artifact.id)) continue;
    // Its manifest is gone from the store: the repository is the truth.
    services.catalog.release(artifact.id);
    services.catalog.remove_artifact(artifact.id);
    run.warnings.push_back(cat("artifact ", artifact.id, " is no longer in the repository"));
    ++vanished;
  }
  run.result = json::write(json::Object{{"artifacts", found.size()}, {"vanished", vanished}});
  task.info(cat("found ", found.size(), " artifacts"));
  return RunState::succeeded;
}

void reconcile(Services& services, const std::string& repository_name) {
  const auto repository = services.repositories.get(repository_name);
  for (const repository::Manifest& manifest : repository->list()) {
    if (services.catalog.find_artifact(manifest.id)) continue;
    services.catalog.put_artifact(artifact_record(manifest, repository_name));
    services.log.info("artifact found that an interrupted run had sealed",
                      {{"artifact", manifest.id}, {"repository", repository_name}});
  }
}

}  // namespace dbbackup::job
