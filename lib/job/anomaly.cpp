#include "job/anomaly.hpp"

#include <algorithm>
#include <map>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using repository::TableProof;
using util::cat;

namespace {
bool any_match(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return util::glob_match(pattern, name); });
}

bool in_scope(const catalog::Job& job, const std::string& table) {
  return (job.include.empty() || any_match(job.include, table)) && !any_match(job.exclude, table);
}

std::uint64_t rows_of(const std::vector<TableProof>& tables) {
  std::uint64_t rows = 0;
  for (const TableProof& table : tables) rows += table.hash.rows();
  return rows;
}

// In doubles: rows times a hundred may not fit, and a row more or less at 10^15 is no anomaly.
bool fell_by_more_than(std::int64_t percent, std::uint64_t before, std::uint64_t after) {
  if (after >= before) return false;
  return static_cast<double>(before - after) * 100.0 >
         static_cast<double>(percent) * static_cast<double>(before);
}

// The proof of the newest artifact of the job that is in order and was to hold the same part of the
// database.
std::optional<std::vector<TableProof>> last_good_proof(Services& services, const std::string& job,
                                                       const repository::Skipped& skipped) {
  for (const catalog::Artifact& artifact : services.catalog.artifacts({.job = job})) {
    if (artifact.suspicious() || artifact.skipped != skipped ||
        artifact.state == catalog::ArtifactState::damaged) {
      continue;
    }
    const auto manifest = services.repositories.get(artifact.repository)->find(artifact.id);
    if (manifest) return manifest->summary.proof;
  }
  return std::nullopt;
}
}  // namespace

std::vector<std::string> suspicions(const catalog::Job& job, const std::vector<TableProof>* before,
                                    const std::vector<TableProof>& after) {
  std::vector<std::string> found;
  const std::uint64_t rows_before = before == nullptr ? 0 : rows_of(*before);
  if (rows_of(after) == 0 && (before == nullptr || rows_before > 0)) {
    found.emplace_back(before == nullptr
                           ? std::string("the database is empty")
                           : cat("the database is empty; it had ", rows_before, " rows"));
  }
  if (before == nullptr) return found;
  std::map<std::string, std::uint64_t> rows;
  for (const TableProof& table : after) rows[table.name] = table.hash.rows();
  for (const TableProof& table : *before) {
    if (!in_scope(job, table.name)) continue;
    const std::string name = util::printable(table.name);
    const auto now = rows.find(table.name);
    if (now == rows.end()) {
      found.push_back(cat("table ", name, " has vanished; it had ", table.hash.rows(), " rows"));
    } else if (fell_by_more_than(job.max_row_drop, table.hash.rows(), now->second)) {
      found.push_back(cat("table ", name, " fell from ", table.hash.rows(), " to ", now->second,
                          " rows, by more than ", job.max_row_drop, " %"));
    }
  }
  return found;
}

void judge(Services& services, const catalog::Run& run, repository::Summary& summary,
           util::Task& task) {
  const std::optional<catalog::Job> job =
      run.job.empty() ? std::nullopt : services.catalog.find_job(run.job);
  // A partial backup has said itself what it lacks, and freezes retention by its state.
  if (!job || repository::is_partial(summary.skipped)) return;
  std::optional<std::vector<TableProof>> before;
  try {
    before = last_good_proof(services, job->name, summary.skipped);
  } catch (const util::Error& error) {
    task.warn(cat("cannot compare with the artifact before: ", error.message()));
    return;
  }
  summary.suspicions = suspicions(*job, before ? &*before : nullptr, summary.proof);
  for (const std::string& suspicion : summary.suspicions) {
    summary.warnings.push_back(cat("suspicious: ", suspicion));
    task.warn(cat("suspicious: ", suspicion));
  }
}

void note_suspicions(Services& services, const catalog::Artifact& artifact) {
  if (!artifact.suspicious()) return;
  catalog::Event event;
  event.action = "artifact.suspicious";
  event.object = cat("artifact ", artifact.id);
  event.outcome = "warning";
  event.detail = cat(
      "job ", artifact.job, ": ", util::join(artifact.suspicions, "; "),
      "; retention removes nothing of this job until somebody says: artifact accept ", artifact.id);
  services.catalog.add_event(event);
  services.log.warn(cat("artifact is suspicious: ", util::join(artifact.suspicions, "; ")),
                    {{"artifact", artifact.id}, {"job", artifact.job}});
}

}  // namespace dbbackup::job
