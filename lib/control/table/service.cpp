#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

Commands service_commands() {
  return {
      {.name = "status.show",
       .summary = "Shows the daemon, the jobs, what runs now and the repositories.",
       .parameters = {},
       .result = Shape("Status"),
       .examples = {"status", "status -o json"}},
      {.name = "events.list",
       .summary = "Answers the audit trail: who changed or started what, and how it ended.",
       .parameters = {option("since", Type::time, "only events from this time on"),
                      limit_option("events"),
                      option("follow", Type::boolean,
                             "send them as notifications event, and new ones as they happen")},
       .result = Shape("{schema_version: int, events: [Event]}"),
       .examples = {"events --since 2026-11-01", "events --follow"}},
      {.name = "daemon.version",
       .summary = "Answers the version of the daemon.",
       .parameters = {},
       .result = Shape("{schema_version: int, daemon: {version: string}}"),
       .examples = {"daemon version"}},
      {.name = "daemon.reload",
       .summary = "Makes the daemon read its configuration again, as SIGHUP does.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {},
       .result = Shape("{schema_version: int?, reloaded: bool}"),
       .examples = {"daemon reload"}},
  };
}

}  // namespace dbbackup::control::table
