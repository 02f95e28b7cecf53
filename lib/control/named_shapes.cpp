#include "control/shape.hpp"

namespace dbbackup::control {

const std::map<std::string, Shape, std::less<>>& named_shapes() {
  static const std::map<std::string, Shape, std::less<>> shapes = {
      {"Artifact",
       Shape("{id: string, name: string?, job: string?, database: string, engine: string, "
             "server_version: string?, type: string, base: string?, state: string, "
             "created_at: time, started_at: time?, finished_at: time?, duration_seconds: number?, "
             "consistency: {kind: string, position: any?}, statistics: Statistics, holds: [Hold], "
             "proof: {state: string, proved_at: time?, run: string?}, streams: [Stream]?, "
             "skipped: [{name: string, reason: string}], warnings: [string], suspicious: bool, "
             "suspicions: [string], accepted_at: time?}")},
      {"Attempt", Shape("{attempt: int, state: string, started_at: time?, finished_at: time?, "
                        "error: Error}")},
      {"ArtifactDiff",
       Shape("{a: string, b: string, streams: [{name: string, change: string, rows_a: int?, "
             "rows_b: int?, bytes_a: int?, bytes_b: int?}]}")},
      {"Database",
       Shape("{name: string, engine: string, url: string, options: object, has_password: bool, "
             "restore_allowed_until: time?, protected: bool, created_at: time}")},
      {"DatabaseTest", Shape("{ok: bool, engine: string, server_version: string?, "
                             "checks: [{name: string, ok: bool, detail: string, hint: string?}]}")},
      {"Error", Shape("{code: string, message: string, hint: string?}")},
      {"Event", Shape("{id: any, at: time, uid: int?, user: string?, pid: int?, action: string, "
                      "object: string?, outcome: string, detail: any?}")},
      {"Hold", Shape("{reason: string?, until: time?, created_at: time?}")},
      {"Job",
       Shape("{name: string, database: string, repository: string, type: string, "
             "include: [string], exclude: [string], where: object, parallel: int?, keep: Keep, "
             "timezone: string?, max_row_drop: int?, max_age: string?, retries: int?, retry_delay: "
             "string?, retry_max_delay: string?, timeout: string?, stall_timeout: string?, "
             "pre_hook: string?, post_hook: string?, hook_timeout: string?, options: object, "
             "created_at: time, "
             "last_run: {id: string, state: string, finished_at: time?}?, next_run_at: time?}")},
      {"Keep",
       Shape("{last: int?, hourly: int?, daily: int?, weekly: int?, monthly: int?, yearly: int?, "
             "within: string?}")},
      {"KeySlot", Shape("{slot: string, kind: string, created_at: time?}")},
      {"LogLine", Shape("{at: time, severity: string, line: string}")},
      {"Progress",
       Shape("{streams_done: int, streams_total: int, rows: int, bytes: int, bytes_total: int?, "
             "rate_bytes_per_second: number?, remaining_seconds: number?}")},
      {"Repository",
       Shape("{name: string, id: string, url: string, options: object, "
             "secret_options: [string], created_at: time, state: string}")},
      {"RestorePlan", Shape("{steps: [string], target: string, mode: string, artifact: string?, "
                            "tables: [any]?}")},
      {"Run",
       Shape("{id: string, kind: string, job: string?, database: string?, repository: string?, "
             "type: string?, state: string, attempt: int, earlier_attempts: [Attempt], "
             "waits_for: string?, start_after: time?, queued_at: time, started_at: time?, "
             "finished_at: time?, heartbeat_at: time?, duration_seconds: number?, progress: "
             "Progress, "
             "artifact: string?, error: Error?, warnings: [string]}")},
      {"Schedule",
       Shape("{name: string, target: any, cron: string, timezone: string, state: string, "
             "next_run_at: time?, last_run_at: time?, last_state: string?, waiting: string}")},
      {"Statistics", Shape("{streams: int, rows: int, source_bytes: int, added_bytes: int}")},
      {"Status",
       Shape("{schema_version: int, daemon: {version: string, started_at: time, "
             "uptime_seconds: number, scheduler_lag_seconds: number}, "
             "jobs: [{name: string, state: string, last_success_at: time?, age_seconds: number?, "
             "max_age_seconds: number?, retry_at: time?, next_run_at: time?}], "
             "runs: {running: int, queued: int, retrying: int}, "
             "repositories: [{name: string, reachable: bool, artifacts: int, stored_bytes: int?, "
             "free_bytes: int?}]}")},
      {"Stream", Shape("{name: string, kind: string, rows: int?, bytes: int, hash: string?, "
                       "columns: [any]?}")},
  };
  return shapes;
}

}  // namespace dbbackup::control
