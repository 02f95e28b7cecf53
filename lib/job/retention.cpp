#include "job/retention.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "schedule/zone.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::Artifact;
using util::cat;
using util::Error;
using util::ErrorCode;
namespace json = util::json;

namespace {
// Enough to outlive one that turns out to be useless; they share nearly all of their chunks.
constexpr std::int64_t kControlBackups = 5;

// The job's own zone, else that of the schedule that runs it, else the daemon's.
schedule::TimeZone zone_of(Services& services, const catalog::Job& job) {
  if (!job.timezone.empty()) return schedule::TimeZone::load(job.timezone);
  for (const catalog::Schedule& schedule : services.catalog.schedules()) {
    if (schedule.kind == catalog::ScheduleKind::job && schedule.target == job.name) {
      return schedule::TimeZone::load(schedule.timezone);
    }
  }
  return schedule::TimeZone::load(services.default_timezone());
}

// Why nothing of this job may be removed now; empty when nothing forbids it.
std::string frozen(Services& services, const std::string& job,
                   const std::vector<Artifact>& artifacts, const std::string& succeeded) {
  const auto suspicious = std::find_if(artifacts.begin(), artifacts.end(),
                                       [](const Artifact& each) { return each.suspicious(); });
  if (suspicious != artifacts.end()) {
    return cat("artifact ", suspicious->id, " is suspicious (", suspicious->suspicions.front(),
               "): nothing of job ", job, " is removed until it is accepted");
  }
  if (!succeeded.empty()) return {};
  for (const catalog::Run& run : services.catalog.runs({.job = job, .unfinished = true})) {
    if (run.earlier_attempts.empty()) continue;
    return cat("run ", run.id, " of job ", job,
               " failed and is tried again: nothing is removed until it succeeds");
  }
  const std::optional<catalog::Run> newest = services.catalog.last_attempt(job);
  if (!newest || newest->state == catalog::RunState::succeeded) return {};
  return cat("the newest run of job ", job, " ended as ", catalog::run_state_name(newest->state),
             ": nothing is removed until one succeeds");
}

repository::RetentionPolicy policy_of(Services& services, const std::string& name,
                                      const std::vector<Artifact>& artifacts,
                                      const std::string& succeeded) {
  if (name == catalog::kControlName) return {.last = kControlBackups};
  if (name.empty()) return {.frozen = "made without a job: only removed by hand"};
  const std::optional<catalog::Job> job = services.catalog.find_job(name);
  if (!job) return {.frozen = cat("there is no job ", name, " any more: only removed by hand")};
  repository::RetentionPolicy policy{.last = job->keep.last,
                                     .hourly = job->keep.hourly,
                                     .daily = job->keep.daily,
                                     .weekly = job->keep.weekly,
                                     .monthly = job->keep.monthly,
                                     .yearly = job->keep.yearly,
                                     .within = job->keep.within,
                                     .frozen = frozen(services, name, artifacts, succeeded)};
  if (job->keep.anything()) {
    policy.utc_offset = [zone = zone_of(services, *job)](util::TimePoint time) {
      return zone.period_at(time).offset;
    };
  }
  return policy;
}

// Artifacts that restores, drills and the like are reading or wait to read, with the run.
std::map<std::string, std::string> artifacts_in_use(catalog::Catalog& catalog) {
  std::map<std::string, std::string> used;
  for (const catalog::Run& run : catalog.runs({.unfinished = true})) {
    if (!run.artifact.empty()) used[run.artifact] = run.id;
  }
  return used;
}

std::string protection_of(catalog::Catalog& catalog, const std::string& artifact,
                          const std::map<std::string, std::string>& used) {
  for (const catalog::Hold& hold : catalog.holds(artifact)) {
    std::string text = hold.reason.empty() ? "held" : cat("held: ", hold.reason);
    if (hold.until) text += cat(" (until ", util::format_rfc3339(*hold.until), ")");
    return text;
  }
  const auto run = used.find(artifact);
  return run == used.end() ? std::string() : cat("run ", run->second, " is using it");
}

void note_removal(Services& services, const Artifact& artifact, const std::string& reason) {
  catalog::Event event;
  event.action = "artifact.expire";
  event.object = cat("artifact ", artifact.id);
  event.outcome = "ok";
  event.detail = cat("job ", artifact.job, ", sealed ", util::format_rfc3339(artifact.created_at),
                     ": ", reason);
  services.catalog.add_event(event);
}

// The catalog first: it refuses, in one transaction, while a hold is on it. A crash before the
// manifest goes leaves an artifact that the next start finds again, and the next run removes.
bool remove_one(Services& services, repository::Repository& repository, const Artifact& artifact,
                util::Task& task) {
  try {
    services.catalog.remove_artifact(artifact.id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::refused && error.code() != ErrorCode::not_found) throw;
    task.info(cat("kept after all: ", error.message()));
    return false;
  }
  util::kill_point("retention.before_manifest");
  try {
    repository.remove(artifact.id);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return true;  // gone already
    services.catalog.put_artifact(artifact);
    if (error.code() != ErrorCode::refused) throw;
    // The store has locked it; a later run removes it, when the lock has ended.
    task.info(cat("kept after all: ", error.message()));
    return false;
  }
  util::kill_point("retention.after_manifest");
  return true;
}
}  // namespace

JobRetention plan_retention(Services& services, const std::string& job,
                            const std::string& succeeded, const std::string& repository) {
  JobRetention plan;
  plan.job = job;
  plan.artifacts = services.catalog.artifacts({.job = job, .control = true});
  if (job == catalog::kControlName && !repository.empty()) {
    // Each repository keeps its own, so that any one of them is enough.
    std::erase_if(plan.artifacts,
                  [&](const Artifact& artifact) { return artifact.repository != repository; });
  }
  if (job.empty()) {
    std::erase_if(plan.artifacts, [](const Artifact& artifact) { return !artifact.job.empty(); });
  }
  const std::map<std::string, std::string> used = artifacts_in_use(services.catalog);
  std::vector<repository::RetentionItem> items;
  for (const Artifact& artifact : plan.artifacts) {
    items.push_back({.id = artifact.id,
                     .created = artifact.created_at,
                     .base = artifact.base,
                     .proved = artifact.state == catalog::ArtifactState::proved,
                     .damaged = artifact.state == catalog::ArtifactState::damaged,
                     .partial = repository::is_partial(artifact.skipped),
                     .protection = protection_of(services.catalog, artifact.id, used)});
  }
  plan.verdict = repository::apply_retention(
      std::move(items), policy_of(services, job, plan.artifacts, succeeded), services.clock.now());
  return plan;
}

std::vector<JobRetention> plan_repository_retention(Services& services,
                                                    const std::string& repository) {
  std::set<std::string> jobs;
  for (const Artifact& artifact :
       services.catalog.artifacts({.repository = repository, .control = true})) {
    jobs.insert(artifact.job);
  }
  std::vector<JobRetention> plans;
  for (const std::string& job : jobs)
    plans.push_back(plan_retention(services, job, {}, repository));
  return plans;
}

std::size_t apply_retention(Services& services, const JobRetention& plan,
                            const std::string& repository_name, util::Task& task) {
  const std::set<std::string> going(plan.verdict.remove.begin(), plan.verdict.remove.end());
  if (going.empty()) return 0;
  const auto repository = services.repositories.get(repository_name);
  std::size_t removed = 0;
  // Oldest first, so that an end in the middle leaves no gap.
  for (auto artifact = plan.artifacts.rbegin(); artifact != plan.artifacts.rend(); ++artifact) {
    if (!going.contains(artifact->id) || artifact->repository != repository_name) continue;
    task.check();
    if (!remove_one(services, *repository, *artifact, task)) continue;
    const std::string reason = util::join(plan.verdict.reasons.at(artifact->id), "; ");
    note_removal(services, *artifact, reason);
    task.info(cat("removed artifact ", artifact->id, " of ",
                  util::format_rfc3339(artifact->created_at), ": ", reason));
    ++removed;
  }
  return removed;
}

json::Array retention_report(const std::vector<JobRetention>& plans,
                             const std::string& repository) {
  json::Array report;
  for (const JobRetention& plan : plans) {
    const std::set<std::string> going(plan.verdict.remove.begin(), plan.verdict.remove.end());
    for (const Artifact& artifact : plan.artifacts) {
      if (artifact.repository != repository) continue;
      json::Object object{{"id", artifact.id}, {"job", nullptr}};
      if (!artifact.job.empty()) object["job"] = artifact.job;
      object["database"] = artifact.database;
      object["created_at"] = util::format_rfc3339(artifact.created_at);
      object["action"] = going.contains(artifact.id) ? "remove" : "keep";
      object["reasons"] = json::from_strings(plan.verdict.reasons.at(artifact.id));
      object["added_bytes"] = artifact.added_bytes;
      report.push_back(std::move(object));
    }
  }
  return report;
}

}  // namespace dbbackup::job
