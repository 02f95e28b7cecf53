#include "engine/mysql/checks.hpp"

#include <algorithm>

#include "engine/mysql/schema.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

Check failed(std::string name, const Error& error) {
  return {std::move(name), false, error.message(), error.hint()};
}

// The privileges of the login on the whole server and on this database, upper case, as words of the
// GRANT lines that apply. Roles that are active are part of SHOW GRANTS.
class Privileges {
 public:
  Privileges(Connection& connection, const std::string& database) {
    for (const Row& row : connection.query("SHOW GRANTS")) take(row.at(0).value_or(""), database);
  }
  bool on_server(std::string_view privilege) const { return has(server_, privilege); }
  bool anywhere(std::string_view privilege) const {
    return has(server_, privilege) || has(database_, privilege);
  }

 private:
  using List = std::vector<std::string>;
  static bool has(const List& list, std::string_view privilege) {
    return std::find(list.begin(), list.end(), privilege) != list.end() ||
           std::find(list.begin(), list.end(), "ALL PRIVILEGES") != list.end();
  }
  void take(const std::string& grant, const std::string& database) {
    const std::size_t on = grant.find(" ON ");
    if (!grant.starts_with("GRANT ") || on == std::string::npos) return;
    std::string object = grant.substr(on + 4, grant.find(" TO ", on) - on - 4);
    // Wildcards of a pattern are escaped in the name of a grant.
    std::erase(object, '\\');
    List* list = nullptr;
    if (object == "*.*") list = &server_;
    if (object == cat(quote_name(database), ".*")) list = &database_;
    if (list == nullptr) return;
    for (const std::string& word : util::split(grant.substr(6, on - 6), ',')) {
      list->push_back(std::string(util::trim(word)));
    }
  }
  List server_;
  List database_;
};

struct Needed {
  std::string privilege;
  bool on_server;
  std::string missing;  // what a backup would lack
};

std::vector<Check> privilege_checks(const Privileges& privileges, const Server& server,
                                    const std::string& database) {
  std::vector<Needed> needed = {
      {"SELECT", false, "tables cannot be read"},
      {"SHOW VIEW", false, "views would be missing"},
      {"TRIGGER", false, "triggers would be missing"},
      {"EVENT", false, "events would be missing"},
      {"LOCK TABLES", false, "tables without transactions (MyISAM, Aria) could not be held still"},
      {"RELOAD", true,
       "without the binary log several connections could not share one snapshot; locks would be "
       "heavier"},
  };
  if (server.mariadb) {
    needed.push_back({"BINLOG MONITOR", true, "the binary log position may be unknown"});
  } else {
    needed.push_back({"REPLICATION CLIENT", true, "the binary log position would be unknown"});
    needed.push_back({"PROCESS", true, "tablespace information would be missing"});
    if (server.number >= 80000) {
      needed.push_back({"BACKUP_ADMIN", true, "DDL could not be held off by LOCK INSTANCE"});
    }
  }
  std::vector<Check> checks;
  for (const Needed& need : needed) {
    const bool has =
        need.on_server ? privileges.on_server(need.privilege) : privileges.anywhere(need.privilege);
    // Only what makes a backup incomplete is a failure; the rest is told.
    const bool matters = !need.on_server && need.privilege != "LOCK TABLES";
    Check check;
    check.name = cat("privilege ", need.privilege);
    check.ok = has || !matters;
    check.detail = has ? "granted" : cat("not granted: ", need.missing);
    if (!has) {
      check.hint = cat("GRANT ", need.privilege, " ON ",
                       need.on_server ? std::string("*.*") : cat(quote_name(database), ".*"),
                       " TO the login");
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

Check routine_check(Connection& connection, const Server& server, const std::string& database) {
  for (const Row& row : connection.query(
           cat("SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE "
               "ROUTINE_SCHEMA=",
               quote_text(database), " LIMIT 1"))) {
    const auto shown = connection.query(
        cat("SHOW CREATE ", row.at(0).value_or(""), " ", quote_name(row.at(1).value_or(""))));
    if (!shown.empty() && shown[0].size() > 2 && shown[0][2]) break;
    return {"routines", false, "the bodies of routines cannot be read: a backup would fail",
            server.mariadb ? "GRANT SELECT ON mysql.proc TO the login, or SHOW CREATE ROUTINE"
                           : "GRANT SHOW_ROUTINE ON *.* TO the login"};
  }
  return {"routines", true, "readable", {}};
}

Check account_check(Connection& connection) {
  const bool readable = connection.try_execute("SELECT 1 FROM mysql.user LIMIT 1");
  return {"users", true,
          readable ? "users and grants are part of backups"
                   : "users and grants would not be part of backups",
          readable ? std::string() : "GRANT SELECT ON mysql.* TO the login"};
}

std::string variable(Connection& connection, const std::string& name) {
  try {
    return connection.value(cat("SELECT @@GLOBAL.", name)).value_or("");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
    return {};
  }
}

void look_at_database(Connection& connection, const Place& place, const Server& server,
                      Probe& probe) {
  const Schema schema = read_schema(connection, place.database);
  std::uint64_t bytes = 0;
  std::size_t loose = 0;
  for (const StoredTable& table : schema.tables) {
    bytes += table.data_bytes;
    loose += table.has_rows && !table.transactional ? 1U : 0U;
  }
  probe.checks.push_back({"database",
                          true,
                          cat(schema.tables.size(), " tables, ", schema.views.size(), " views, ",
                              util::format_size(bytes)),
                          {}});
  if (loose > 0) {
    probe.checks.push_back({"transactions", true,
                            cat(loose, " tables without transactions are read under a lock"),
                            "ALTER TABLE ... ENGINE=InnoDB would avoid the lock"});
  }
  for (Check& check :
       privilege_checks(Privileges(connection, place.database), server, place.database)) {
    probe.checks.push_back(std::move(check));
  }
  probe.checks.push_back(routine_check(connection, server, place.database));
  probe.checks.push_back(account_check(connection));
}
}  // namespace

Probe probe_database(const std::string& engine, const Place& place, const std::string& password,
                     util::Task& task) {
  Probe probe;
  probe.engine = engine;
  try {
    Run run(place, password, task);
    Connection connection(run.door(), place.database);
    const Server server = read_server(connection);
    probe.server_version = server.version;
    const std::string cipher = connection.tls_cipher();
    probe.checks.push_back({"connection", true,
                            cat(server.version, ", ",
                                !cipher.empty()      ? cat("encrypted with ", cipher)
                                : connection.local() ? std::string("by Unix socket")
                                                     : std::string("not encrypted")),
                            cipher.empty() && !connection.local()
                                ? std::string("--option tls=required insists on encryption")
                                : std::string()});
    const bool log = variable(connection, "log_bin") == "1";
    probe.checks.push_back(
        {"binary log",
         true,
         log ? "on: backups need no lock on MariaDB, and record its position"
             : "off: several connections need a short lock to share one snapshot",
         {}});
    const bool infile = variable(connection, "local_infile") == "1";
    probe.checks.push_back(
        {"local_infile",
         true,
         infile ? "on: restores use LOAD DATA" : "off: restores use INSERT, which is slower",
         {}});
    try {
      look_at_database(connection, place, server, probe);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      probe.checks.push_back(failed("database", error));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    probe.checks.push_back(failed("connection", error));
  }
  return probe;
}

}  // namespace dbbackup::engine::mysql
