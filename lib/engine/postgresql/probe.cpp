#include "engine/postgresql/probe.hpp"

#include <cstdlib>

#include "engine/postgresql/program.hpp"
#include "engine/postgresql/session.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;

constexpr std::int64_t kClockSkewSeconds = 5;

void check(Probe& probe, const std::string& name, const std::function<Check()>& look) {
  try {
    Check result = look();
    result.name = name;
    probe.checks.push_back(std::move(result));
  } catch (const Error& error) {
    probe.checks.push_back({name, false, error.message(), error.hint()});
  }
}

Check good(std::string detail, std::string hint = {}) {
  return {{}, true, std::move(detail), std::move(hint)};
}

Check program_check(const Login& login, const char* name, int major) {
  const Program program = find_program(login, name, major);
  return good(cat(program.path, " ", program.version),
              program.major == major
                  ? std::string()
                  : cat("newer than the server; postgresql-client-", major, " would match it"));
}

Check privilege_check(Connection& connection) {
  const Result denied = connection.query(
      "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN "
      "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'S') AND "
      "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT (CASE c.relkind WHEN 'S' "
      "THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') ELSE "
      "pg_catalog.has_table_privilege(c.oid, 'SELECT') END AND "
      "pg_catalog.has_schema_privilege(n.oid, 'USAGE')) ORDER BY 1");
  if (denied.rows() == 0) return good("every table and sequence can be read");
  return {{},
          false,
          cat(denied.rows(), " tables or sequences cannot be read, the first is ",
              util::printable(denied.view(0, 0))),
          "GRANT pg_read_all_data TO the login (PostgreSQL 14 and later), or grant SELECT on them"};
}

Check row_security_check(Connection& connection) {
  const std::string hidden = connection.value(
      "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND "
      "pg_catalog.row_security_active(oid)");
  if (hidden == "0") return good("no row security applies to the login");
  return {{},
          false,
          cat("row security hides rows of ", hidden, " tables from the login"),
          "ALTER ROLE ... BYPASSRLS, or use the tables' owner without FORCE ROW LEVEL SECURITY"};
}

Check role_check(Connection& connection) {
  const Result role = connection.query(
      "SELECT rolsuper, rolcreatedb, pg_catalog.has_table_privilege('pg_catalog.pg_authid', "
      "'SELECT') FROM pg_catalog.pg_roles WHERE rolname = current_user");
  std::string detail = role.boolean(0, 0) ? "superuser" : "no superuser";
  detail += role.boolean(0, 0) || role.boolean(0, 1) ? ", may create databases"
                                                     : ", may not create databases";
  std::string hint;
  if (!role.boolean(0, 2)) hint = "roles are backed up without their passwords";
  if (!role.boolean(0, 0) && !role.boolean(0, 1)) {
    hint += cat(hint.empty() ? "" : "; ", "drills and restores into new databases need CREATEDB");
  }
  return good(detail, hint);
}

Check lock_check(Connection& connection) {
  const Result counts = connection.query(
      "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND "
      "relpersistence <> 't'), pg_catalog.current_setting('max_locks_per_transaction')::bigint * "
      "(pg_catalog.current_setting('max_connections')::bigint + "
      "pg_catalog.current_setting('max_prepared_transactions')::bigint)");
  const std::string detail =
      cat(counts.view(0, 0), " tables, room for ", counts.view(0, 1), " locks");
  if (counts.integer(0, 0) < counts.integer(0, 1)) return good(detail);
  return {{}, false, detail, "raise max_locks_per_transaction on the server"};
}

Check clock_check(Connection& connection) {
  const std::string server =
      connection.value("SELECT extract(epoch FROM pg_catalog.clock_timestamp())");
  const double here =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto skew = static_cast<std::int64_t>(std::strtod(server.c_str(), nullptr) - here);
  if (std::abs(skew) < kClockSkewSeconds) return good("the server's clock agrees with ours");
  return good(cat("the server's clock is ", skew, " s off ours"), "synchronise both with NTP");
}

Check left_out_check(Connection& connection) {
  const Result counts = connection.query(
      "SELECT pg_catalog.count(*) FILTER (WHERE c.relkind = 'f'), "
      "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid "
      "= "
      "i.indexrelid WHERE NOT i.indisvalid AND x.relkind = 'i') "
      "FROM pg_catalog.pg_class c");
  std::string detail;
  if (counts.integer(0, 0) > 0) {
    detail += cat("rows of ", counts.view(0, 0), " foreign tables are not backed up");
  }
  if (counts.integer(0, 1) > 0) {
    detail +=
        cat(detail.empty() ? "" : "; ", counts.view(0, 1), " invalid indexes will not be restored");
  }
  return good(detail.empty() ? "nothing is left out" : detail);
}
}  // namespace

Probe probe_database(const Login& login, util::Task& task) {
  Probe probe;
  probe.engine = "postgresql";
  std::unique_ptr<Connection> connection;
  check(probe, "login", [&] {
    connection = open_session(login, login.database, task.stop());
    probe.server_version = connection->server_version();
    const bool standby = connection->value("SELECT pg_catalog.pg_is_in_recovery()") == "t";
    return good(cat(login.shown(), ", PostgreSQL ", probe.server_version,
                    standby ? ", a standby" : "", ", ", server_encoding(*connection)));
  });
  if (!connection) return probe;
  const int major = connection->major_version();
  check(probe, "pg_dump", [&] { return program_check(login, "pg_dump", major); });
  check(probe, "pg_restore", [&] { return program_check(login, "pg_restore", major); });
  check(probe, "tables", [&] { return privilege_check(*connection); });
  check(probe, "row security", [&] { return row_security_check(*connection); });
  check(probe, "role", [&] { return role_check(*connection); });
  check(probe, "locks", [&] { return lock_check(*connection); });
  check(probe, "left out", [&] { return left_out_check(*connection); });
  check(probe, "clock", [&] { return clock_check(*connection); });
  return probe;
}

}  // namespace dbbackup::engine::postgresql
