#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

namespace {

Commands key_commands() {
  const Parameter name = positional("name", "repository", "name of the repository");
  return {
      {.name = "repository.key_export",
       .summary = "Makes a new recovery key, with which the repository opens without this daemon.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{schema_version: int?, recovery_key: string}"),
       .examples = {"repository key export default --file /root/default.recovery"}},
      {.name = "repository.key_list",
       .summary = "Lists the key slots; never a key.",
       .access = Access::admin,
       .parameters = {name},
       .result = Shape("{schema_version: int, keys: [KeySlot]}"),
       .examples = {"repository key list default"}},
      {.name = "repository.key_add_passphrase",
       .summary = "Adds a key slot that a passphrase opens.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, required(option("passphrase", Type::secret, "the passphrase"))},
       .result = Shape("{schema_version: int, key: KeySlot}"),
       .examples = {"repository key add-passphrase default"}},
      {.name = "repository.key_remove",
       .summary = "Removes a key slot; the last one is refused.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name,
                      {.name = "slot",
                       .type = Type::string,
                       .required = true,
                       .positional = true,
                       .summary = "id of the slot, from the list of slots"}},
       .result = Shape("{removed: string}"),
       .examples = {"repository key remove default 01jd8x"}},
  };
}

Parameter storage_options(std::string summary) {
  Parameter parameter = option("options", Type::options, std::move(summary));
  parameter.holds_secrets = true;
  return parameter;
}

}  // namespace

Commands repository_commands() {
  const Shape one("{schema_version: int, repository: Repository}");
  const Parameter name = positional("name", "repository", "name of the repository");
  const Parameter take_over =
      option("take_over", Type::boolean,
             "become the owner of a repository whose former daemon is gone for good");

  Commands commands = {
      {.name = "repository.add",
       .summary = "Creates a repository, or opens the one that is at the address already.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {positional("name", "", "name under which it is known from now on"),
                      positional("url", "", "where it is, for example file:///srv/backup"),
                      storage_options("an option of the storage, as KEY=VALUE; a secret one "
                                      "as KEY=@FILE, env:VARIABLE, credential:NAME or -"),
                      option("passphrase", Type::secret,
                             "adds a key slot for this passphrase; opens an existing repository"),
                      option("recovery_key", Type::secret,
                             "opens an existing repository with its recovery key"),
                      take_over},
       .result = Shape("{schema_version: int, repository: Repository, recovery_key: string?}"),
       .examples = {"repository add vault file:///srv/backup/vault",
                    "repository add vault file:///srv/backup/vault --passphrase-stdin",
                    "repository add old file:///mnt/old --recovery-key-stdin --take-over",
                    "repository add offsite s3://bucket/db --option region=eu-central-1 "
                    "--option access_key=AKIA... --option secret_key=@/root/s3.secret"}},
      {.name = "repository.update",
       .summary = "Changes the address or options of a repository that is still the same one.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, option("url", Type::string, "its new address"),
                      storage_options("an option of the storage, as for add; an empty value "
                                      "removes it")},
       .result = one,
       .examples = {"repository update offsite --option secret_key=@/root/new.secret"}},
      {.name = "repository.list",
       .summary = "Lists the repositories.",
       .parameters = {},
       .result = Shape("{schema_version: int, repositories: [Repository]}"),
       .examples = {"repository list"}},
      {.name = "repository.show",
       .summary = "Shows one repository; never its secrets.",
       .parameters = {name},
       .result = one,
       .examples = {"repository show default"}},
      {.name = "repository.check",
       .summary = "Starts a check that everything the manifests name is there and intact.",
       .access = Access::operate,
       .mutating = true,
       .parameters = {name,
                      {.name = "read_data",
                       .type = Type::integer,
                       .summary = "also reads and authenticates this percentage of the stored data",
                       .implicit = "100"}},
       .result = Shape("{run: Run}"),
       .examples = {"repository check default", "repository check default --read-data=10 --wait"},
       .starts_run = true},
      {.name = "repository.prune",
       .summary = "Starts the removal of artifacts that no retention rule keeps, and of what no "
                  "artifact needs.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, option("dry_run", Type::boolean,
                                   "only reports what would be removed and why; starts no run")},
       .result = Shape("{run: Run?, report: object?}"),
       .examples = {"repository prune default --dry-run", "repository prune default --wait"},
       .starts_run = true},
      {.name = "repository.rescan",
       .summary = "Starts rebuilding what the daemon knows of a repository from its manifests.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, take_over},
       .result = Shape("{run: Run}"),
       .examples = {"repository rescan default --wait"},
       .starts_run = true},
      {.name = "repository.remove",
       .summary = "Forgets a repository. What is stored in it stays.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{removed: string}"),
       .examples = {"repository remove vault"}},
  };
  for (Command& command : key_commands()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace dbbackup::control::table
