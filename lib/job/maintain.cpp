#include <set>

#include "job/artifact_record.hpp"
#include "job/maintain.hpp"
#include "job/rebuild.hpp"
#include "job/retention.hpp"
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

std::optional<util::TimePoint> oldest_running(catalog::Catalog& catalog,
                                              const std::string& repository,
                                              const std::string& except) {
  std::optional<util::TimePoint> oldest;
  for (const Run& run : catalog.runs({.unfinished = true})) {
    if (run.id == except || run.repository != repository || !run.started_at) continue;
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

json::Object plan_prune(Services& services, const std::string& repository_name, util::Task& task) {
  const std::vector<JobRetention> plans = plan_repository_retention(services, repository_name);
  repository::PruneOptions options{
      .dry_run = true, .oldest_running_start = oldest_running(services.catalog, repository_name)};
  for (const JobRetention& plan : plans) {
    options.without.insert(plan.verdict.remove.begin(), plan.verdict.remove.end());
  }
  json::Object report =
      prune_report(services.repositories.get(repository_name)->prune(options, task));
  report["artifacts"] = retention_report(plans, repository_name);
  return report;
}

RunState prune(Services& services, Run& run, const Request&, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  std::size_t expired = 0;
  for (const JobRetention& plan : plan_repository_retention(services, run.repository)) {
    if (!plan.job.empty() && !plan.verdict.frozen.empty()) task.info(plan.verdict.frozen);
    expired += apply_retention(services, plan, run.repository, task);
  }
  const repository::PruneReport report = repository->prune(
      {.oldest_running_start = oldest_running(services.catalog, run.repository, run.id)}, task);
  json::Object result = prune_report(report);
  result["removed_artifacts"] = expired;
  run.result = json::write(result);
  task.info(cat("removed ", expired, " artifacts and ", report.removed_objects.size(),
                " objects, freed ", util::format_size(report.removable_bytes), ", kept ",
                util::format_size(report.kept_bytes)));
  return RunState::succeeded;
}

RunState rescan(Services& services, Run& run, const Request&, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  // The catalog is asked first: what a backup adds while the store is being listed must not look as
  // if it had vanished.
  const std::vector<catalog::Artifact> known =
      services.catalog.artifacts({.repository = run.repository, .control = true});
  repository->rescan(task);
  std::set<std::string> found;
  const std::vector<repository::Manifest> manifests = repository->list(task.stop());
  for (const repository::Manifest& manifest : manifests) {
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
  json::Object result{{"artifacts", found.size()}, {"vanished", vanished}};
  if (needs_rebuild(services.catalog, repository->id())) {
    const json::Object made = rebuild(services, run.repository, manifests, run.warnings, task);
    task.info(cat("made again: ", json::write(made)));
    result["rebuilt"] = made;
  }
  run.result = json::write(result);
  task.info(cat("found ", found.size(), " artifacts"));
  return RunState::succeeded;
}

void reconcile(Services& services, const std::string& repository_name) {
  const auto repository = services.repositories.get(repository_name);
  // A repository whose holds and proofs are still to be learnt waits for its rescan: artifacts
  // without them would look removable.
  if (needs_rebuild(services.catalog, repository->id())) return;
  for (const repository::Manifest& manifest : repository->list()) {
    if (services.catalog.find_artifact(manifest.id)) continue;
    services.catalog.put_artifact(artifact_record(manifest, repository_name));
    services.log.info("artifact found that an interrupted run had sealed",
                      {{"artifact", manifest.id}, {"repository", repository_name}});
  }
}

}  // namespace dbbackup::job
