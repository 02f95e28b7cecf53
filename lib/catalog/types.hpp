// The nouns of the product as plain values, as the control database keeps them. Names and meanings
// follow the glossary in interface.md; JSON forms live with whoever shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/error.hpp"
#include "util/task.hpp"
#include "util/time.hpp"

namespace dbbackup::catalog {

// Database and job name of the control database's own backups; no user's object may have it.
inline constexpr std::string_view kControlName = "dbbackup-control";

using Options = std::vector<std::pair<std::string, std::string>>;

struct Database {
  std::string name;
  std::string engine;
  std::string url;  // without password
  Options options;
  bool has_password = false;
  bool is_protected = false;  // `database protect`: allow-restore is refused until unprotected by
                              // allow-restore --for
  std::optional<util::TimePoint> restore_allowed_until;
  util::TimePoint created;
};

struct Repository {
  std::string name;
  std::string url;
  Options options;            // without secrets
  std::string repository_id;  // id inside the store
  util::TimePoint created;
};

// How many artifacts of a job to keep; 0 = this rule keeps nothing by itself.
struct Keep {
  std::int64_t last = 0;
  std::int64_t hourly = 0;
  std::int64_t daily = 0;
  std::int64_t weekly = 0;
  std::int64_t monthly = 0;
  std::int64_t yearly = 0;
  std::optional<util::Milliseconds> within;
  bool anything() const { return last || hourly || daily || weekly || monthly || yearly || within; }
};

struct Job {
  std::string name;
  std::string database;
  std::string repository;
  std::string type = "full";
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  Options where;
  std::int64_t parallel = 0;  // 0: the daemon's default
  Keep keep;
  std::string
      timezone;  // whose days and weeks `keep` counts; empty: of its schedule, or the daemon's
  // Share of a table's rows, in percent, that may be gone since the artifact before without making
  // the new one suspicious.
  std::int64_t max_row_drop = 50;
  std::optional<util::Milliseconds> max_age;
  std::int64_t retries = 0;
  std::optional<util::Milliseconds> retry_delay;
  std::optional<util::Milliseconds> retry_max_delay;
  std::optional<util::Milliseconds> timeout;
  std::optional<util::Milliseconds> stall_timeout;  // empty: the daemon's; these two also
  std::optional<util::Milliseconds> hook_timeout;
  std::string pre_hook;
  std::string post_hook;
  Options options;
  util::TimePoint created;
};

enum class ScheduleKind { job, drill, check, prune };
std::string_view schedule_kind_name(ScheduleKind kind);
std::optional<ScheduleKind> schedule_kind_from_name(std::string_view name);

struct Schedule {
  std::string name;
  ScheduleKind kind = ScheduleKind::job;
  std::string target;  // job name for job and drill, repository name for check and prune
  std::string cron;
  std::string timezone;
  std::optional<util::Milliseconds> jitter;
  bool catch_up = true;              // once | skip
  bool queue_overlap = false;        // queue | skip
  std::vector<std::string> windows;  // "22:00-06:00"
  bool paused = false;
  util::TimePoint created;
  // The newest scheduled instant that has been dealt with; nothing at or before it ever fires
  // again.
  std::optional<util::TimePoint> handled_until;
  std::optional<util::TimePoint> last_run_at;
  std::string last_run;
};

enum class RunKind { backup, restore, drill, verify, check, prune, rescan, export_, import };
std::string_view run_kind_name(RunKind kind);
std::optional<RunKind> run_kind_from_name(std::string_view name);

enum class RunState {
  queued,
  running,
  succeeded,
  partial,
  failed,
  cancelled,
  interrupted,
  skipped
};
std::string_view run_state_name(RunState state);
std::optional<RunState> run_state_from_name(std::string_view name);
bool is_ended(RunState state);

struct RunError {
  std::string code;
  std::string message;
  std::string hint;
};

// An attempt of a run that did not succeed and was followed by another one.
struct Attempt {
  std::int64_t number = 1;
  RunState state = RunState::failed;  // or interrupted
  std::optional<util::TimePoint> started_at;
  std::optional<util::TimePoint> finished_at;
  RunError error;
};

struct Run {
  std::string id;
  RunKind kind = RunKind::backup;
  std::string job;  // empty for ad-hoc runs
  std::string database;
  std::string repository;
  std::string schedule;  // what started it, empty when a person did
  std::string type;
  RunState state = RunState::queued;
  std::int64_t attempt = 1;
  std::vector<Attempt> earlier_attempts;
  std::optional<util::TimePoint> start_after;  // of a queued run that waits to be tried again
  util::TimePoint queued_at;
  std::optional<util::TimePoint> started_at;
  std::optional<util::TimePoint> finished_at;
  std::uint64_t streams_done = 0;
  std::uint64_t streams_total = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_total = 0;
  std::string artifact;  // made, restored, checked
  std::optional<RunError> error;
  std::vector<std::string> warnings;
  std::string
      request;  // JSON of what was asked, so that a queued run survives a restart; no secrets
  std::string result;  // JSON details for `run show` (drill differences, check report)
  std::int64_t fence = 0;  // number of the lease under which it runs or ran, see Catalog
  std::optional<util::TimePoint> heartbeat_at;  // when its daemon last said that it is executing
};

struct LogLine {
  util::TimePoint at;
  util::Severity severity = util::Severity::info;
  std::string line;
};

enum class ArtifactState { sealed, checked, proved, damaged };
std::string_view artifact_state_name(ArtifactState state);
std::optional<ArtifactState> artifact_state_from_name(std::string_view name);

// One row per manifest; everything here but state, proof and holds can be rebuilt from the
// repository.
struct Artifact {
  std::string id;
  std::string name;
  std::string job;
  std::string database;
  std::string repository;  // catalog name
  std::string engine;
  std::string server_version;
  std::string type;
  std::string base;
  ArtifactState state = ArtifactState::sealed;
  util::TimePoint created_at;  // sealed
  util::TimePoint started_at;
  std::string consistency_kind;
  std::string consistency_position;
  std::uint64_t streams = 0;
  std::uint64_t rows = 0;
  std::uint64_t source_bytes = 0;
  std::uint64_t added_bytes = 0;
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, std::string>> skipped;
  std::string proof_run;  // the drill or restore that proved it
  std::optional<util::TimePoint> proved_at;
  std::vector<std::string> suspicions;  // what looked wrong compared with the artifact before
  std::optional<util::TimePoint> accepted_at;  // when somebody said that it is right
  bool suspicious() const { return !suspicions.empty() && !accepted_at; }
};

struct Hold {
  std::string id;
  std::string artifact;
  std::string reason;
  std::optional<util::TimePoint> until;
  util::TimePoint created;
};

struct Event {
  std::string id;
  util::TimePoint at;
  std::int64_t uid = -1;  // -1: the daemon itself
  std::string user;
  std::int64_t pid = 0;
  std::string action;   // "job.add", "run.failed", "daemon.started"
  std::string object;   // "job shop-nightly"
  std::string outcome;  // "ok" or an error's code name
  std::string detail;
};

}  // namespace dbbackup::catalog
