#include "daemon/render.hpp"

namespace dbbackup::daemon {

namespace json = util::json;

namespace {
json::Value duration_json(const std::optional<util::Milliseconds>& duration) {
  return duration ? json::Value(util::format_duration(*duration)) : json::Value(nullptr);
}

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value(nullptr) : json::Value(text);
}

double seconds_between(util::TimePoint from, util::TimePoint to) {
  return static_cast<double>((to - from).count()) / 1000.0;
}
}  // namespace

json::Value to_json(std::optional<util::TimePoint> time) {
  return time ? json::Value(util::format_rfc3339(*time)) : json::Value(nullptr);
}

json::Object to_json(const catalog::Options& options) {
  json::Object object;
  for (const auto& [name, value] : options) object[name] = value;
  return object;
}

json::Object to_json(const catalog::Database& database) {
  return {{"name", database.name},
          {"engine", database.engine},
          {"url", database.url},
          {"options", to_json(database.options)},
          {"has_password", database.has_password},
          {"restore_allowed_until", to_json(database.restore_allowed_until)},
          {"protected", database.is_protected},
          {"created_at", to_json(database.created)}};
}

json::Object to_json(const catalog::Repository& repository) {
  return {{"name", repository.name},
          {"id", repository.repository_id},
          {"url", repository.url},
          {"options", to_json(repository.options)},
          {"created_at", to_json(repository.created)}};
}

json::Object to_json(const catalog::Job& job) {
  return {{"name", job.name},
          {"database", job.database},
          {"repository", job.repository},
          {"type", job.type},
          {"include", json::from_strings(job.include)},
          {"exclude", json::from_strings(job.exclude)},
          {"where", to_json(job.where)},
          {"parallel", job.parallel},
          {"keep", json::Object{{"last", job.keep.last},
                                {"hourly", job.keep.hourly},
                                {"daily", job.keep.daily},
                                {"weekly", job.keep.weekly},
                                {"monthly", job.keep.monthly},
                                {"yearly", job.keep.yearly},
                                {"within", duration_json(job.keep.within)}}},
          {"timezone", text_or_null(job.timezone)},
          {"max_row_drop", job.max_row_drop},
          {"max_age", duration_json(job.max_age)},
          {"retries", job.retries},
          {"retry_delay", duration_json(job.retry_delay)},
          {"retry_max_delay", duration_json(job.retry_max_delay)},
          {"timeout", duration_json(job.timeout)},
          {"stall_timeout", duration_json(job.stall_timeout)},
          {"hook_timeout", duration_json(job.hook_timeout)},
          {"pre_hook", text_or_null(job.pre_hook)},
          {"post_hook", text_or_null(job.post_hook)},
          {"options", to_json(job.options)},
          {"created_at", to_json(job.created)}};
}

namespace {
json::Object error_json(const catalog::RunError& error) {
  return {{"code", error.code}, {"message", error.message}, {"hint", text_or_null(error.hint)}};
}

json::Array attempts_json(const std::vector<catalog::Attempt>& attempts) {
  json::Array list;
  for (const catalog::Attempt& attempt : attempts) {
    list.push_back(json::Object{{"attempt", attempt.number},
                                {"state", catalog::run_state_name(attempt.state)},
                                {"started_at", to_json(attempt.started_at)},
                                {"finished_at", to_json(attempt.finished_at)},
                                {"error", error_json(attempt.error)}});
  }
  return list;
}
}  // namespace

json::Object to_json(const job::Runner::Snapshot& snapshot) {
  json::Object object = to_json(snapshot.run);
  object["waits_for"] = text_or_null(snapshot.waits_for);
  return object;
}

json::Object to_json(const catalog::Run& run) {
  json::Object object{{"id", run.id},
                      {"kind", catalog::run_kind_name(run.kind)},
                      {"job", text_or_null(run.job)},
                      {"database", text_or_null(run.database)},
                      {"repository", text_or_null(run.repository)},
                      {"schedule", text_or_null(run.schedule)},
                      {"type", text_or_null(run.type)},
                      {"state", catalog::run_state_name(run.state)},
                      {"attempt", run.attempt},
                      {"earlier_attempts", attempts_json(run.earlier_attempts)},
                      {"waits_for", nullptr},
                      {"start_after", to_json(run.start_after)},
                      {"queued_at", to_json(run.queued_at)},
                      {"started_at", to_json(run.started_at)},
                      {"finished_at", to_json(run.finished_at)},
                      {"heartbeat_at", to_json(run.heartbeat_at)},
                      {"duration_seconds", nullptr},
                      {"progress", json::Object{{"streams_done", run.streams_done},
                                                {"streams_total", run.streams_total},
                                                {"rows", run.rows},
                                                {"bytes", run.bytes},
                                                {"bytes_total", run.bytes_total}}},
                      {"artifact", text_or_null(run.artifact)},
                      {"error", nullptr},
                      {"warnings", json::from_strings(run.warnings)}};
  if (run.started_at && run.finished_at) {
    object["duration_seconds"] = seconds_between(*run.started_at, *run.finished_at);
  }
  if (run.error) object["error"] = error_json(*run.error);
  if (!run.result.empty()) object["result"] = json::parse(run.result);
  return object;
}

json::Object to_json(const catalog::Event& event) {
  json::Object object{{"id", event.id},
                      {"at", to_json(event.at)},
                      {"uid", nullptr},
                      {"user", text_or_null(event.user)},
                      {"pid", nullptr},
                      {"action", event.action},
                      {"object", event.object},
                      {"outcome", event.outcome},
                      {"detail", text_or_null(event.detail)}};
  if (event.uid >= 0) object["uid"] = event.uid;
  if (event.pid > 0) object["pid"] = event.pid;
  return object;
}

json::Object to_json(const catalog::LogLine& line) {
  return {{"at", to_json(line.at)},
          {"severity", util::severity_name(line.severity)},
          {"line", line.line}};
}

json::Object to_json(const catalog::Artifact& artifact, const std::vector<catalog::Hold>& holds) {
  json::Array held;
  for (const catalog::Hold& hold : holds) {
    held.push_back(json::Object{{"reason", text_or_null(hold.reason)},
                                {"until", to_json(hold.until)},
                                {"created_at", to_json(hold.created)}});
  }
  json::Array skipped;
  for (const auto& [name, reason] : artifact.skipped) {
    skipped.push_back(json::Object{{"name", name}, {"reason", reason}});
  }
  const bool proved = artifact.state == catalog::ArtifactState::proved;
  return {{"id", artifact.id},
          {"name", artifact.name},
          {"job", text_or_null(artifact.job)},
          {"database", artifact.database},
          {"repository", artifact.repository},
          {"engine", artifact.engine},
          {"server_version", artifact.server_version},
          {"type", artifact.type},
          {"base", text_or_null(artifact.base)},
          {"state", catalog::artifact_state_name(artifact.state)},
          {"created_at", to_json(artifact.created_at)},
          {"started_at", to_json(artifact.started_at)},
          {"finished_at", to_json(artifact.created_at)},
          {"duration_seconds", seconds_between(artifact.started_at, artifact.created_at)},
          {"consistency", json::Object{{"kind", artifact.consistency_kind},
                                       {"position", text_or_null(artifact.consistency_position)}}},
          {"statistics", json::Object{{"streams", artifact.streams},
                                      {"rows", artifact.rows},
                                      {"source_bytes", artifact.source_bytes},
                                      {"added_bytes", artifact.added_bytes}}},
          {"holds", std::move(held)},
          {"proof", json::Object{{"state", proved ? "proved" : "unproved"},
                                 {"proved_at", to_json(artifact.proved_at)},
                                 {"run", text_or_null(artifact.proof_run)}}},
          {"skipped", std::move(skipped)},
          {"warnings", json::from_strings(artifact.warnings)},
          {"suspicious", artifact.suspicious()},
          {"suspicions", json::from_strings(artifact.suspicions)},
          {"accepted_at", to_json(artifact.accepted_at)}};
}

json::Object to_json(const repository::StreamInfo& stream) {
  return {{"name", stream.name},
          {"kind", repository::stream_kind_name(stream.kind)},
          {"rows", stream.rows},
          {"bytes", stream.bytes},
          {"hash", text_or_null(stream.hash)},
          {"columns", json::from_strings(stream.columns)}};
}

json::Object progress_json(const job::Runner::Snapshot& snapshot) {
  const catalog::Run& run = snapshot.run;
  json::Object progress{{"streams_done", run.streams_done},
                        {"streams_total", run.streams_total},
                        {"rows", run.rows},
                        {"bytes", run.bytes},
                        {"bytes_total", run.bytes_total},
                        {"rate_bytes_per_second", snapshot.rate_bytes_per_second},
                        {"remaining_seconds", nullptr}};
  if (run.bytes_total > run.bytes && snapshot.rate_bytes_per_second > 0) {
    progress["remaining_seconds"] =
        static_cast<double>(run.bytes_total - run.bytes) / snapshot.rate_bytes_per_second;
  }
  return progress;
}

}  // namespace dbbackup::daemon
