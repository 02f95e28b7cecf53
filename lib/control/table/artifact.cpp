#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

namespace {

const char* const kArtifactSummary =
    "id or unique prefix of it, or latest, latest:JOB, latest@TIME, latest:JOB@TIME";

Parameter archive_passphrase(std::string summary) {
  return option("passphrase", Type::secret, std::move(summary));
}

Parameters restore_parameters() {
  return {
      optional(positional("artifact", "artifact", kArtifactSummary)),
      reference("file", "file", "restore this exported file instead; an absolute path"),
      required(reference("to", "database", "the database to write into")),
      include_option(),
      choice("mode", {"create", "replace", "append"},
             "what to do about data in the target: refuse (create), drop it first, or add to it"),
      option("no_integrity_check", Type::boolean, "do not let the engine check the result"),
      parallel_option(),
      option("yes", Type::boolean, "confirms that mode replace destroys what the target holds"),
      archive_passphrase("opens the file, where it has one"),
  };
}

Commands restore_commands() {
  return {
      {.name = "restore.start",
       .summary = "Starts writing an artifact into a database that allows it.",
       .access = Access::admin,
       .mutating = true,
       .parameters = restore_parameters(),
       .result = Shape("{run: Run}"),
       .examples = {"restore latest:shop-nightly --to shop2 --wait",
                    "restore 01jd8x --to shop --mode replace --include orders"},
       .starts_run = true},
      {.name = "restore.plan",
       .summary = "Says what a restore would do and whether its guards allow it; changes nothing.",
       .access = Access::admin,  // reads any file the daemon can read
       .parameters = restore_parameters(),
       .result = Shape("{schema_version: int?, plan: RestorePlan}"),
       .examples = {"restore latest --to shop2 --plan"}},
  };
}

}  // namespace

Commands artifact_commands() {
  const Shape one("{schema_version: int, artifact: Artifact}");
  const Shape started("{run: Run}");
  const Parameter artifact = positional("artifact", "artifact", kArtifactSummary);

  Commands commands = {
      {.name = "artifact.list",
       .summary = "Lists artifacts, the newest first.",
       .parameters = {limit_option("artifacts"),
                      reference("database", "database", "only artifacts of this database"),
                      reference("job", "job", "only artifacts of this job"),
                      option("control", Type::boolean,
                             "also the backups of the control database itself")},
       .result = Shape("{schema_version: int, artifacts: [Artifact]}"),
       .examples = {"artifact list --limit 10", "artifact list --job shop-nightly"}},
      {.name = "artifact.show",
       .summary = "Shows one artifact with its streams.",
       .parameters = {artifact},
       .result = one,
       .examples = {"artifact show latest"}},
      {.name = "artifact.verify",
       .summary = "Starts reading and authenticating everything in an artifact.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {artifact},
       .result = started,
       .examples = {"artifact verify latest --wait"},
       .starts_run = true},
      {.name = "artifact.drill",
       .summary = "Starts a restore to scratch that compares the result with the proof.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {artifact, reference("scratch", "database",
                                          "where to restore to (default: a temporary one)")},
       .result = started,
       .examples = {"artifact drill latest --wait"},
       .starts_run = true},
      {.name = "artifact.diff",
       .summary = "Compares the streams of two artifacts.",
       .parameters = {positional("a", "artifact", kArtifactSummary),
                      positional("b", "artifact", kArtifactSummary)},
       .result = Shape("{schema_version: int?, diff: ArtifactDiff}"),
       .examples = {"artifact diff latest@2026-11-01 latest"}},
      {.name = "artifact.export",
       .summary = "Starts writing an artifact in a form that other tools read.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {artifact,
                      required(choice("format", {"csv", "json", "sql", "native", "archive"},
                                      "form of the result")),
                      required(reference("to", "file",
                                         "folder, .zip, .tar.zst or .dbbackup file to create; an "
                                         "absolute path that the daemon writes")),
                      include_option(),
                      archive_passphrase("also opens the archive, without this daemon's key")},
       .result = started,
       .examples = {"artifact export latest --format csv --to /srv/out/shop.zip --wait",
                    "artifact export latest --format archive --to /srv/out/shop.dbbackup"},
       .starts_run = true},
      {.name = "artifact.import",
       .summary = "Starts adding an exported archive to a repository.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {positional("file", "file",
                                 "the .dbbackup file; an absolute path that the daemon reads"),
                      reference("repository", "repository", "where it goes (default: default)"),
                      archive_passphrase("opens the file, where it has one")},
       .result = started,
       .examples = {"artifact import /srv/in/shop.dbbackup --wait"},
       .starts_run = true},
      {.name = "artifact.hold",
       .summary = "Protects an artifact from removal.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {artifact, option("reason", Type::string, "why, for whoever finds it later"),
                      option("until", Type::time, "when the hold ends by itself")},
       .result = one,
       .examples = {"artifact hold latest --reason 'before the migration' --until 2027-01-31"}},
      {.name = "artifact.release",
       .summary = "Ends the holds on an artifact.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {artifact},
       .result = one,
       .examples = {"artifact release 01jd8x"}},
      {.name = "artifact.accept",
       .summary = "Says that a suspicious artifact, and the earlier ones of its job, are right.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {artifact},
       .result = one,
       .examples = {"artifact accept latest:shop-nightly"}},
      {.name = "artifact.remove",
       .summary = "Removes an artifact; the next prune frees its space.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {artifact},
       .result = Shape("{removed: string}"),
       .examples = {"artifact remove 01jd8x"}},
  };
  for (Command& command : restore_commands()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace dbbackup::control::table
