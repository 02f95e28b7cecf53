#include "control/table/rows.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

Commands database_commands() {
  const Shape one("{schema_version: int, database: Database}");
  const Parameter name = positional("name", "database", "name of the database");
  const std::string options_summary = "an option of the engine, as KEY=VALUE";

  return {
      {.name = "database.add",
       .summary = "Registers a database that can be backed up.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {positional("name", "", "name under which it is known from now on"),
                      positional("url", "",
                                 "where it is, for example sqlite:///srv/shop.db; never with a "
                                 "password inside"),
                      option("password", Type::secret, "password of the database user"),
                      option("options", Type::options, options_summary)},
       .result = one,
       .examples = {"database add shop sqlite:///srv/shop/shop.db",
                    "database add crm postgresql://backup@db1/crm --password-stdin"}},
      {.name = "database.list",
       .summary = "Lists the databases.",
       .parameters = {},
       .result = Shape("{schema_version: int, databases: [Database]}"),
       .examples = {"database list", "database list -o json"}},
      {.name = "database.show",
       .summary = "Shows one database; never its password.",
       .parameters = {name},
       .result = one,
       .examples = {"database show shop"}},
      {.name = "database.test",
       .summary = "Connects and says whether a backup would work, and what to change when not.",
       .access = Access::operate,
       .parameters = {name},
       .result = Shape("{schema_version: int?, test: DatabaseTest}"),
       .examples = {"database test shop"}},
      {.name = "database.update",
       .summary = "Changes what is given and keeps the rest.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, option("url", Type::string, "its new address"),
                      option("password", Type::secret, "its new password"),
                      option("options", Type::options,
                             "an option of the engine, as KEY=VALUE; an empty value removes it")},
       .result = one,
       .examples = {"database update shop --url sqlite:///srv/shop/new.db",
                    "database update crm --option connect_timeout=10"}},
      {.name = "database.remove",
       .summary = "Forgets a database. Its artifacts stay.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = Shape("{removed: string}"),
       .examples = {"database remove shop"}},
      {.name = "database.set_password",
       .summary = "Stores a new password, encrypted with the daemon's key.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, required(option("password", Type::secret, "the new password"))},
       .result = one,
       .examples = {"database set-password crm", "database set-password crm --password-stdin"}},
      {.name = "database.allow_restore",
       .summary = "Lets restores write into this database for a while.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name, option("for", Type::duration, "how long (default: 1h)")},
       .result = one,
       .examples = {"database allow-restore shop2 --for 10m"}},
      {.name = "database.protect",
       .summary = "Refuses restores into this database again.",
       .access = Access::admin,
       .mutating = true,
       .parameters = {name},
       .result = one,
       .examples = {"database protect shop2"}},
  };
}

}  // namespace dbbackup::control::table
