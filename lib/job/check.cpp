#include "job/check_share.hpp"
#include "job/verbs.hpp"
#include "util/error.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
namespace json = util::json;

namespace {
json::Array damage_report(const std::vector<repository::Damage>& damage) {
  json::Array list;
  for (const repository::Damage& item : damage) {
    list.push_back(json::Object{{"object", item.object},
                                {"problem", item.problem},
                                {"artifacts", json::from_strings(item.artifacts)}});
  }
  return list;
}

// Tells every damaged object to the log, marks the artifacts that need them, and fails the run.
void require_sound(Services& services, const std::vector<repository::Damage>& damage,
                   const std::string& run, util::Task& task) {
  if (damage.empty()) return;
  for (const repository::Damage& item : damage) {
    task.tell(util::Severity::error, cat(item.object, ": ", item.problem));
    for (const std::string& id : item.artifacts) {
      if (services.catalog.find_artifact(id)) {
        services.catalog.set_artifact_state(id, catalog::ArtifactState::damaged, run);
      }
    }
  }
  const repository::Damage& first = damage.front();
  std::string message = cat("object ", first.object, " is damaged: ", first.problem);
  if (damage.size() > 1) message += cat(" (and ", damage.size() - 1, " more)");
  throw util::Error(
      util::ErrorCode::verification_failed, message,
      "'dbbackupctl run show' lists every object and the artifacts that need it; back up again");
}
}  // namespace

RunState verify(Services& services, Run& run, const Request&, util::Task& task) {
  const catalog::Artifact artifact = services.catalog.artifact(run.artifact);
  const auto repository = services.repositories.get(artifact.repository);
  const std::vector<repository::Damage> damage = repository->verify(artifact.id, task);
  run.result = json::write(json::Object{{"damage", damage_report(damage)}});
  require_sound(services, damage, run.id, task);
  if (artifact.state == catalog::ArtifactState::sealed ||
      artifact.state == catalog::ArtifactState::damaged) {
    services.catalog.set_artifact_state(artifact.id, catalog::ArtifactState::checked, run.id);
  }
  task.info(cat("every chunk of ", artifact.id, " was read and authenticated"));
  return RunState::succeeded;
}

RunState check(Services& services, Run& run, const Request& request, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  // A schedule reads the share that is due; a person says how much.
  const bool rotating = !run.schedule.empty();
  const util::TimePoint now = services.clock.now();
  const repository::ReadShare share =
      rotating ? next_share(services, repository->id(), now)
               : repository::ReadShare::of_chance(static_cast<unsigned>(request.read_percent));
  const repository::CheckReport report = repository->check(share, task);
  if (rotating) note_share_read(services, repository->id(), share, now);
  run.result = json::write(json::Object{{"artifacts", report.artifacts},
                                        {"packs", report.packs},
                                        {"chunks", report.chunks},
                                        {"read_bytes", report.read_bytes},
                                        {"read_percent", percent_of(share)},
                                        {"damage", damage_report(report.damage)}});
  require_sound(services, report.damage, run.id, task);
  if (share.length == repository::ReadShare::kWhole) {
    for (const catalog::Artifact& artifact :
         services.catalog.artifacts({.repository = run.repository})) {
      if (artifact.state == catalog::ArtifactState::sealed) {
        services.catalog.set_artifact_state(artifact.id, catalog::ArtifactState::checked, run.id);
      }
    }
  }
  task.info(cat("checked ", report.artifacts, " artifacts, ", report.packs, " packs, ",
                report.chunks, " chunks; read ", util::format_size(report.read_bytes)));
  return RunState::succeeded;
}

}  // namespace dbbackup::job
