#include "catalog/reference.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "catalog/columns.hpp"
#include "catalog/ids.hpp"
#include "catalog/names.hpp"
#include "util/error.hpp"
#include "util/text.hpp"
#include "util/time.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::string_view kLatest = "latest";
constexpr const char* kForms =
    "write latest, latest:JOB, latest@TIME or latest:JOB@TIME, for example "
    "latest:shop-nightly@2026-11-20T18:00:00Z";

struct Latest {
  std::string job;  // empty: of all jobs
  std::optional<util::TimePoint> not_after;
};

Error malformed(std::string_view reference, std::string_view why) {
  return {ErrorCode::usage, cat("\"", util::printable(reference), "\" names no artifact: ", why),
          kForms};
}

// Empty when `reference` is no form of `latest`.
std::optional<Latest> parse(std::string_view reference) {
  if (!reference.starts_with(kLatest)) return std::nullopt;
  std::string_view rest = reference.substr(kLatest.size());
  Latest latest;
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    latest.job = rest.substr(0, rest.find('@'));
    rest.remove_prefix(latest.job.size());
    if (latest.job.empty()) throw malformed(reference, "the name of the job is missing");
  }
  if (rest.starts_with('@')) {
    rest.remove_prefix(1);
    latest.not_after = util::parse_time(rest);
    if (!latest.not_after) throw malformed(reference, "the time is not valid");
    rest = {};
  }
  if (!rest.empty()) throw malformed(reference, "expected : or @ after latest");
  return latest;
}

Filter filter_of(const Latest& latest) {
  Filter filter;
  if (latest.job != kControlName) filter.add(not_control());
  filter.equals("job", latest.job);
  if (latest.not_after) {
    filter.add(cat("created_at <= ", std::int64_t{util::to_unix_ms(*latest.not_after)}));
  }
  return filter;
}

std::optional<std::string> find_newest(Connection& db, const Latest& latest) {
  const Filter filter = filter_of(latest);
  Statement statement = db.prepare(
      cat("SELECT id FROM artifacts", filter.sql(), " ORDER BY created_at DESC, id DESC LIMIT 1"));
  filter.bind(statement);
  return read_row(statement, [](const Statement& row) { return row.string(0); });
}

std::optional<util::TimePoint> oldest_time(Connection& db, const std::string& job) {
  Filter filter;
  if (job != kControlName) filter.add(not_control());
  filter.equals("job", job);
  Statement statement = db.prepare(cat("SELECT min(created_at) FROM artifacts", filter.sql()));
  filter.bind(statement);
  statement.step();
  std::optional<util::TimePoint> oldest;
  read_value(statement, 0, oldest);
  return oldest;
}

// Jobs that are there or have left artifacts behind.
std::vector<std::string> known_jobs(Connection& db) {
  Statement statement = db.prepare(
      "SELECT name FROM jobs UNION SELECT job FROM artifacts WHERE job <> '' AND job <> ?"
      " ORDER BY 1");
  statement.bind(1, kControlName);
  return read_rows(statement, [](const Statement& row) { return row.string(0); });
}

Error nothing_of_job(Connection& db, const std::string& job) {
  const std::vector<std::string> jobs = known_jobs(db);
  if (std::find(jobs.begin(), jobs.end(), job) != jobs.end()) {
    return {ErrorCode::not_found, cat("job ", job, " has no artifacts yet"),
            cat("\"dbbackupctl job run ", job, " --wait\" makes one")};
  }
  std::string hint = suggestion(job, jobs);
  if (hint.empty()) hint = "\"dbbackupctl job list\" shows the jobs there are";
  return {ErrorCode::not_found, cat("there is no job ", util::printable(job), " with artifacts"),
          std::move(hint)};
}

// Why there is none, the widest reason first.
Error nothing_found(Connection& db, const Latest& latest) {
  if (!oldest_time(db, {})) {
    return {ErrorCode::not_found, "there are no artifacts yet",
            "\"dbbackupctl backup DATABASE --wait\" makes one; \"dbbackupctl repository rescan\" "
            "finds those of a repository that was added again"};
  }
  const auto oldest = oldest_time(db, latest.job);
  if (!oldest) return nothing_of_job(db, latest.job);
  return {ErrorCode::not_found,
          cat("no artifact", latest.job.empty() ? "" : " of job ", latest.job, " was sealed by ",
              util::format_rfc3339(latest.not_after.value())),
          cat("the oldest one is from ", util::format_rfc3339(*oldest))};
}
}  // namespace

std::string resolve_artifact(Connection& db, std::string_view reference) {
  const std::optional<Latest> latest = parse(reference);
  if (!latest) return resolve_id(db, kArtifact, reference);
  std::optional<std::string> id = find_newest(db, *latest);
  if (!id) throw nothing_found(db, *latest);
  return *std::move(id);
}

}  // namespace dbbackup::catalog
