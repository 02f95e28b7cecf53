#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

namespace {

// The settings of a job beside its name and database, for add and update alike.
Parameters settings() {
  return {
      reference("repository", "repository", "where its artifacts go (default: default)"),
      backup_type_option(),
      include_option(),
      exclude_option(),
      option("where", Type::strings, "only the rows of a stream that match, as STREAM=CONDITION"),
      parallel_option(),
      option("keep_last", Type::integer, "keep this many of the newest artifacts"),
      option("keep_hourly", Type::integer, "keep the newest of each of this many hours"),
      option("keep_daily", Type::integer, "keep the newest of each of this many days"),
      option("keep_weekly", Type::integer, "keep the newest of each of this many weeks"),
      option("keep_monthly", Type::integer, "keep the newest of each of this many months"),
      option("keep_yearly", Type::integer, "keep the newest of each of this many years"),
      option("keep_within", Type::duration, "keep everything younger than this"),
      option("timezone", Type::string,
             "IANA name of the zone whose days and weeks count (default: its schedule's)"),
      option("max_row_drop", Type::integer,
             "percentage of a table's rows that may be gone at once (default: 50); more makes the "
             "artifact suspicious; 100 turns this off"),
      option("max_age", Type::duration,
             "age of the newest artifact from which on the job counts as critical"),
      option(
          "retries", Type::integer,
          "how often a run is tried again after an error that may pass, and once when the daemon "
          "died (default: 0)"),
      option("retry_delay", Type::duration,
             "time before the first retry; it doubles each time (default: 1m)"),
      option("retry_max_delay", Type::duration, "it doubles up to this (default: 1h)"),
      option("timeout", Type::duration, "end an attempt that takes longer as timed out"),
      option("stall_timeout", Type::duration,
             "end an attempt that reads nothing for this time; 0: never (default: the daemon's)"),
      option("pre_hook", Type::string,
             "command to run before each attempt; its failure fails the attempt"),
      option("post_hook", Type::string,
             "command to run after each attempt, whatever the outcome; its failure is a warning"),
      option("hook_timeout", Type::duration, "time for each of them (default: the daemon's)"),
      option("options", Type::options, "an option of the engine, as KEY=VALUE"),
  };
}

Parameters with_settings(Parameters first) {
  for (Parameter& parameter : settings()) first.push_back(std::move(parameter));
  return first;
}

}  // namespace

Commands job_commands() {
  const Shape one("{schema_version: int, job: Job}");
  const Parameter name = positional("name", "job", "name of the job");
  const Parameter database = reference("database", "database", "what to back up");

  return {
      {.name = "job.add",
       .summary = "Registers what to back up, where to, and what to keep.",
       .access = Access::admin,
       .mutating = true,
       .parameters =
           with_settings({positional("name", "", "name under which it is known from now on"),
                          required(database)}),
       .result = one,
       .examples =
           {"job add shop-nightly --database shop --keep-last 7",
            "job add shop-hourly --database shop --include 'orders*' --max-age 3h",
            "job add shop-careful --database shop --retries 3 --retry-delay 10s --timeout 1h"}},
      {.name = "job.list",
       .summary = "Lists the jobs with their last and next run.",
       .parameters = {},
       .result = Shape("{schema_version: int, jobs: [Job]}"),
       .examples = {"job list"}},
      {.name = "job.show",
       .summary = "Shows one job.",
       .parameters = {name},
       .result = one,
       .examples = {"job show shop-nightly"}},
      {.name = "job.update",
       .summary = "Changes what is given and keeps the rest; 0 or an empty text goes back to the "
                  "default.",
       .access = Access::admin,
       .mutating = true,
       .parameters = with_settings({name, database}),
       .result = one,
       .examples = {"job update shop-nightly --keep-last 14 --timeout 2h"}},
      {.name = "job.remove",
       .summary = "Forgets a job. Its artifacts stay.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{removed: string}"),
       .examples = {"job remove shop-nightly"}},
      {.name = "job.run",
       .summary = "Starts a run of a job now.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {name, backup_type_option()},
       .result = Shape("{run: Run}"),
       .examples = {"job run shop-nightly", "job run shop-nightly --wait --follow"},
       .starts_run = true},
      {.name = "backup.start",
       .summary = "Starts a backup of a database now, without a job.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {positional("database", "database", "what to back up"),
                      reference("repository", "repository",
                                "where the artifact goes (default: default)"),
                      backup_type_option(), include_option(), exclude_option()},
       .result = Shape("{run: Run}"),
       .examples = {"backup shop", "backup shop --wait --follow"},
       .starts_run = true},
  };
}

}  // namespace dbbackup::control::table
