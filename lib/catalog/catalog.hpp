// The control database: a SQLite file in WAL mode that keeps what interface.md's glossary names. It
// is a journal of the repositories plus the daemon's own wishes (jobs, schedules); artifacts can be
// rebuilt from manifests.
//
// Schema changes are numbered migrations (migrations.cpp). Opening a newer schema is refused; an
// older one is copied to `control.db.before-vN` (N: the new version) first and then migrated inside
// one transaction.
//
// Threads: safe from any thread; writers take turns, readers do not wait for their disk. Every
// member is one transaction, durable when it returns (append_log alone may lose its newest lines in
// a power cut). Owns: the connections. Errors: config_invalid (newer schema, foreign or damaged
// file, another daemon key), not_found, already_exists, conflict (referenced objects), usage (bad
// name), io, no_space. Names are 1 to 128 characters of [A-Za-z0-9._-] beginning with a letter or
// digit.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "crypto/secret.hpp"
#include "util/time.hpp"
#include "util/ulid.hpp"

namespace dbbackup::catalog {

struct RunFilter {
  std::optional<std::int64_t> limit = {};
  std::string job = {};
  std::string database = {};
  std::optional<RunState> state = {};
  bool unfinished = false;  // queued or running
};

struct ArtifactFilter {
  std::optional<std::int64_t> limit = {};
  std::string database = {};
  std::string job = {};
  std::string repository = {};
  bool control =
      false;  // also backups of the control database, which otherwise only their name shows
};

// How much of the past is kept: what is older goes, and the oldest beyond a number.
struct HistoryLimits {
  util::Milliseconds keep_runs = std::chrono::days(400);
  util::Milliseconds keep_logs = std::chrono::days(400);
  util::Milliseconds keep_events = std::chrono::days(400);
  std::int64_t most_runs = 1'000'000;
  std::int64_t most_events = 1'000'000;
};

// What status needs about one job, in one query for all jobs.
struct JobSummary {
  std::string name;
  std::optional<RunState> last_state;  // of the newest backup run, ended or not
  std::string last_run;
  std::optional<util::TimePoint> last_finished_at;  // of the newest backup run that has ended
  std::optional<util::TimePoint>
      last_success_at;  // newest artifact that is not known to be damaged
  std::optional<util::Milliseconds> max_age;
};

class Catalog {
 public:
  static constexpr int kSchemaVersion = 4;
  // Of one run; what comes after them is lost, and the last line says so.
  static constexpr std::int64_t kMostLogLines = 100'000;

  // `daemon_key` encrypts stored secrets.
  Catalog(const std::filesystem::path& file, const crypto::Secret& daemon_key,
          const util::Clock& clock);
  // A copy of the control database of a daemon whose key is not here: everything but secrets.
  struct Foreign {};
  Catalog(const std::filesystem::path& file, Foreign, const util::Clock& clock);
  ~Catalog();

  // -- the lease: one daemon at a time writes here. Its number (the fence) grows with each one that
  // takes it, and from then on every write of an earlier holder is refused with `conflict`, also of
  // one that was stopped for hours and does not know. Whoever never takes the lease (a tool, a
  // test) is not fenced.
  //
  // How long a holder that does not renew is believed to live.
  static constexpr util::Milliseconds kLeaseTime = std::chrono::seconds(30);
  // `holder` says who we are: the same text as the last holder's means that this one is known to be
  // dead, for example because it names a lock that we hold now. Returns the fence.
  // Errors: conflict, while another holder may be alive.
  std::int64_t take_lease(const std::string& holder);
  // Says that we live, and that these runs are executing. Errors: conflict, when it was lost.
  void renew_lease(const std::vector<std::string>& executing);
  // Errors: conflict, when it was lost. To be called before something that cannot be undone.
  void require_lease();
  // The next daemon need not wait. No error when it was lost.
  void release_lease();

  // -- databases. Lists are ordered by name.
  void add_database(const Database& database, const crypto::Secret& password);
  void update_database(const Database& database);  // everything but the password
  void set_password(const std::string& name, const crypto::Secret& password);  // empty: forget it
  // Empty when none is stored. Errors: verification_failed, when what is stored was not sealed for
  // this database.
  crypto::Secret password(const std::string& name);
  std::optional<Database> find_database(const std::string& name);
  Database database(const std::string& name);  // Errors: not_found with the nearest name as hint
  std::vector<Database> databases();
  void remove_database(const std::string& name);  // Errors: conflict naming the jobs that use it

  // -- repositories
  // Errors: usage, already_exists, as add_repository() would say.
  void require_new_repository(const std::string& name);
  void add_repository(const Repository& repository, const Options& secret_options = {});
  // Without `secret_options` those that are stored stay.
  void update_repository(const Repository& repository,
                         const std::optional<Options>& secret_options = {});
  Options secret_options(const std::string& repository);
  std::optional<Repository> find_repository(const std::string& name);
  Repository repository(const std::string& name);
  std::vector<Repository> repositories();
  // Also forgets its artifacts (held or not; nothing is removed from the store) and its schedules.
  // Errors: conflict naming jobs.
  void remove_repository(const std::string& name);

  // -- jobs
  void add_job(const Job& job);
  void update_job(const Job& job);
  std::optional<Job> find_job(const std::string& name);
  Job job(const std::string& name);
  std::vector<Job> jobs();
  void remove_job(const std::string& name);  // with its schedules; artifacts stay

  // -- schedules
  void add_schedule(const Schedule& schedule);
  // Everything but created and the last run. handled_until only moves forward here: the timer may
  // have fired since the caller read the schedule.
  void update_schedule(const Schedule& schedule);
  std::optional<Schedule> find_schedule(const std::string& name);
  Schedule schedule(const std::string& name);
  std::vector<Schedule> schedules();
  // Another number after every change of what schedules there are, what they say or where a mark
  // stands, but for add_scheduled_run(), whose caller knows. So a timer sees that nothing changed
  // without reading.
  std::uint64_t schedules_version() const;
  void remove_schedule(const std::string& name);

  // -- runs. Ids are ULIDs made by the caller.
  // Notes it as the last one of the schedule it names, if any; touches no instants.
  void add_run(const Run& run);
  // Marks `handled_until` of the schedule and adds the run in one transaction, so that a crash
  // between them cannot fire twice or never. Errors: conflict, when the schedule has dealt with
  // that instant or a later one already.
  void add_scheduled_run(const Run& run, const std::string& schedule,
                         util::TimePoint handled_until);
  void set_handled(const std::string& schedule, util::TimePoint handled_until);
  // Errors: conflict, when the stored state has already ended.
  void update_run(const Run& run);
  std::optional<Run> find_run(const std::string& id);
  Run run(const std::string& id_or_prefix);  // Errors: not_found; usage when a prefix fits several
  std::vector<Run> runs(const RunFilter& filter);  // newest first
  // The backup run of a job that came to an end by itself last: what was cancelled before it failed,
  // or skipped, says nothing about the job.
  std::optional<Run> last_attempt(const std::string& job);
  // How long the newest runs like this one took, at most `limit` of them: backups of its job, or
  // what its schedule started. Only runs that reached their end count (succeeded or partial).
  std::vector<util::Milliseconds> durations_like(const Run& run, std::int64_t limit);
  // Called once at start, with the lease: every running one is passed to `settle`, which returns it
  // as it shall be from now on (ended, or queued again); returns those. Queued ones stay queued and
  // are returned by runs({.unfinished = true}).
  std::vector<Run> settle_running(const std::function<Run(Run)>& settle);
  // As above; all of them become `interrupted` for this reason.
  std::vector<Run> mark_interrupted(const std::string& reason);
  void append_log(const std::string& run, const LogLine& line);  // Errors: not_found
  // Empty for an unknown run.
  std::vector<LogLine> log(const std::string& run, std::size_t from_line = 0);

  // -- artifacts
  // Insert or replace. A known artifact keeps its holds, and its state and proof unless the given
  // one is damaged or carries a newer proof: a rescan forgets nothing.
  void put_artifact(const Artifact& artifact);
  // `proved` notes proof_run and the time; `checked` does not lower a proved one. Errors:
  // not_found.
  void set_artifact_state(const std::string& id, ArtifactState state,
                          const std::string& proof_run = {});
  std::optional<Artifact> find_artifact(const std::string& id);
  // By id, unique prefix, or latest[:JOB][@TIME]. Errors: not_found; usage.
  Artifact artifact(const std::string& reference);
  std::vector<Artifact> artifacts(const ArtifactFilter& filter);  // newest first
  // Says of a suspicious artifact, and of the earlier suspicious ones of its job, that they are as
  // they should be. Returns the ids of those it was news for.
  std::vector<std::string> accept_artifact(const std::string& id);
  // For lists that are empty: whether the name stands for something. Errors: not_found with the
  // nearest name as hint, unless it exists, or did when some run or artifact was made.
  void require_known_database(const std::string& name);
  void require_known_job(const std::string& name);
  void remove_artifact(const std::string& id);  // Errors: refused while a hold is on it

  // -- holds
  Hold add_hold(const std::string& artifact, const std::string& reason,
                std::optional<util::TimePoint> until);
  std::vector<Hold> holds(const std::string& artifact);  // those in force now
  std::size_t release(const std::string& artifact);      // how many were in force

  // -- events
  void add_event(const Event& event);  // id and time are filled in when empty
  // Without `after_id` the newest `limit` ones, with it the first `limit` that follow; either way
  // oldest first.
  std::vector<Event> events(std::optional<util::TimePoint> since, std::optional<std::int64_t> limit,
                            const std::string& after_id = {});

  // -- settings of the daemon itself (its id, ...)
  std::optional<std::string> setting(const std::string& key);
  void set_setting(const std::string& key, const std::string& value);

  std::vector<JobSummary> job_summaries();
  std::pair<std::uint64_t, std::uint64_t> running_and_queued();
  // Per repository: artifacts and the sum of added bytes.
  struct RepositoryUsage {
    std::string name;
    std::uint64_t artifacts = 0;
    std::uint64_t stored_bytes = 0;
  };
  std::vector<RepositoryUsage> repository_usage();

  // Deletes the oldest ended runs (with logs), log lines and events beyond the limits, in small
  // transactions, and gives the space back; never the newest run of each kind of a job, nor the
  // newest ended one, nor the last run of a schedule. Ends early when a stop is requested.
  void trim_history(const HistoryLimits& limits, const std::stop_token& stop = {});
  // Adds ended runs and events of another control database, a lost one's copy; what is here already
  // stays. Returns how many runs were new.
  std::size_t adopt_history(const std::vector<Run>& runs, const std::vector<Event>& events);
  // A consistent copy of the control database, mode 0600, replacing `file` atomically.
  void copy_to(const std::filesystem::path& file);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbbackup::catalog
