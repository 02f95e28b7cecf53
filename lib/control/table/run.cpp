#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

Commands run_commands() {
  const Shape one("{schema_version: int?, run: Run}");
  const Parameter run = positional("run", "run", "id of the run, or a unique prefix of it");

  return {
      {.name = "run.list",
       .summary = "Lists runs, the newest first.",
       .parameters = {limit_option("runs"), reference("job", "job", "only runs of this job"),
                      choice("state",
                             {"queued", "running", "succeeded", "partial", "failed", "cancelled",
                              "interrupted", "skipped"},
                             "only runs in this state")},
       .result = Shape("{schema_version: int, runs: [Run]}"),
       .examples = {"run list --limit 10", "run list --job shop-nightly --state failed"}},
      {.name = "run.show",
       .summary = "Shows one run.",
       .parameters = {run},
       .result = one,
       .examples = {"run show 01jd8x"}},
      {.name = "run.log",
       .summary = "Answers the lines a run has told.",
       .parameters = {run, option("follow", Type::boolean,
                                  "send them as notifications run.log, until the run has ended")},
       .result = Shape("{schema_version: int?, lines: [LogLine]}"),
       .examples = {"run log 01jd8x", "run log 01jd8x --follow"}},
      {.name = "run.cancel",
       .summary = "Asks a run to stop; it ends as cancelled and leaves no artifact.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {run},
       .result = one,
       .examples = {"run cancel 01jd8x"}},
      {.name = "run.wait",
       .summary = "Sends notifications run.progress once a second and answers when the run has "
                  "ended.",
       .parameters = {run,
                      option("follow", Type::boolean, "send the run's lines as run.log as well"),
                      option("timeout", Type::duration, "give up waiting after this time")},
       .result = one,
       .examples = {"run wait 01jd8x --timeout 2h"}},
  };
}

}  // namespace dbbackup::control::table
