#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

Commands schedule_commands() {
  const Shape one("{schema_version: int, schedule: Schedule}");
  const Parameter name = positional("name", "schedule", "name of the schedule");
  const Parameter timezone =
      option("timezone", Type::string, "IANA name of the zone (default: the daemon's)");

  return {
      {.name = "schedule.add",
       .summary = "Registers when a job, a drill, a check or a prune runs; exactly one of them.",
       .access = Access::admin,
       .mutating = true,
       .parameters =
           {positional("name", "", "name under which it is known from now on"),
            required(
                option("cron", Type::string, "five fields, or @daily and the like, or @every 90m")),
            reference("job", "job", "run this job"),
            reference("drill", "job", "drill the newest artifact of this job"),
            reference("check", "repository", "check this repository"),
            reference("prune", "repository", "prune this repository"), timezone,
            option("jitter", Type::duration,
                   "start up to this much later; always the same delay for one schedule"),
            choice("catch_up", {"once", "skip"},
                   "what to do about fire times missed while the daemon was down: one run "
                   "for all of them (default), or none"),
            choice("overlap", {"skip", "queue"},
                   "what to do when the previous run has not ended: leave the new one out "
                   "(default), or let one wait"),
            option("window", Type::strings,
                   "only start within HH:MM-HH:MM on the clocks of the schedule's zone; a "
                   "run that would probably not end in time waits for the next window"),
            option("due_now", Type::boolean, "also fire once at once")},
       .result = one,
       .examples = {"schedule add nightly --job shop-nightly --cron '30 2 * * *' "
                    "--timezone Europe/Berlin",
                    "schedule add proof --drill shop-nightly --cron @weekly --due-now"}},
      {.name = "schedule.list",
       .summary = "Lists the schedules with their next fire time.",
       .parameters = {option("active_only", Type::boolean, "leave out the paused ones")},
       .result = Shape("{schema_version: int, schedules: [Schedule]}"),
       .examples = {"schedule list --active-only"}},
      {.name = "schedule.show",
       .summary = "Shows one schedule.",
       .parameters = {name},
       .result = one,
       .examples = {"schedule show nightly"}},
      {.name = "schedule.pause",
       .summary = "Stops a schedule from firing until it is resumed.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {name},
       .result = one,
       .examples = {"schedule pause nightly"}},
      {.name = "schedule.resume",
       .summary = "Lets a paused schedule fire again; what passed meanwhile is not caught up.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{schema_version: int, schedule: Schedule, left_out: int}"),
       .examples = {"schedule resume nightly"}},
      {.name = "schedule.remove",
       .summary = "Forgets a schedule.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{removed: string}"),
       .examples = {"schedule remove nightly"}},
      {.name = "schedule.explain",
       .summary = "Says when a schedule, or any cron expression, fires next and why.",
       .parameters = {optional(name),
                      option("cron", Type::string, "explain this expression instead"), timezone,
                      option("from", Type::time, "start here instead of now"),
                      option("count", Type::integer, "how many fire times (default: 5)")},
       .result = Shape("{schema_version: int, fires: [{at: time, local: string, starts_at: time?, "
                       "reason: string?}]}"),
       .examples = {"schedule explain nightly --count 5",
                    "schedule explain --cron '0 9 * * mon#1' --timezone Europe/Berlin"}},
      {.name = "schedule.run_due",
       .summary = "Starts everything that is due now, for hosts that drive it from outside.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {option("once", Type::boolean,
                             "look once and return; the default, for scripts that like to say so"),
                      option("dry_run", Type::boolean,
                             "only answer what would start, wait or be left out, and why")},
       .result = Shape("{schema_version: int, due: [{schedule: string, at: time, action: string, "
                       "starts_at: time?, reason: string}], runs: [Run]}"),
       .examples = {"schedule run-due --dry-run"}},
  };
}

}  // namespace dbbackup::control::table
