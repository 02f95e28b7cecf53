#include "engine/postgresql/target.hpp"

#include <algorithm>

#include "engine/postgresql/session.hpp"
#include "engine/row_text.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr const char* kScratchPrefix = "dbbackup_scratch_";
constexpr const char* kLockKey =
    "pg_catalog.hashtextextended('dbbackup ' || $1, 0)";  // of the names of scratch databases

struct Properties {
  explicit Properties(const std::vector<std::string>& lines) {
    std::vector<std::optional<std::string>> fields;
    for (const std::string& line : lines) {
      split_row(line, fields);
      if (fields.size() < 2) continue;
      rows.push_back({fields[0].value_or(""), fields[1].value_or(""),
                      fields.size() > 2 ? fields[2].value_or("") : ""});
    }
  }
  std::optional<std::string> find(std::string_view name) const {
    for (const Row& row : rows) {
      if (row.name == name) return row.value;
    }
    return std::nullopt;
  }
  struct Row {
    std::string name;
    std::string value;
    std::string more;
  };
  std::vector<Row> rows;
};

std::string locale_words(const Properties& properties) {
  std::string words;
  const auto add = [&](const char* keyword, const char* property) {
    if (const auto value = properties.find(property)) {
      words += cat(" ", keyword, " ", quote_text(*value));
    }
  };
  add("ENCODING", "encoding");
  add("LC_COLLATE", "collate");
  add("LC_CTYPE", "ctype");
  const std::string provider = properties.find("provider").value_or("c");
  if (provider == "i") {
    words += " LOCALE_PROVIDER icu";
    add("ICU_LOCALE", "locale");
  } else if (provider == "b") {
    words += " LOCALE_PROVIDER builtin";
    add("BUILTIN_LOCALE", "locale");
  }
  return words;
}
}  // namespace

std::string scratch_name(const std::string& unique) {
  return kScratchPrefix + util::to_lower(unique);
}

std::unique_ptr<Connection> connect_if_there(const Login& login, const std::string& database,
                                             const std::stop_token& stop) {
  try {
    return open_session(login, database, stop);
  } catch (const ServerError& error) {
    if (error.state() != "3D000") throw;
    return nullptr;
  }
}

Server::Server(const Login& login, util::Task& task) : login_(login) {
  try {
    connection_ = open_session(login, login.maintenance_database, task.stop());
  } catch (const Error& error) {
    throw error.with_context(
        cat("database ", login.maintenance_database, ", from which others are created"));
  }
}

std::string Server::unique_word() {
  return connection_->value(
      "SELECT pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', '')");
}

void Server::create(const std::string& database, const std::vector<std::string>& properties) {
  try {
    connection_->execute(cat("CREATE DATABASE ", quote_name(database), " TEMPLATE template0",
                             locale_words(Properties(properties))));
  } catch (const Error& error) {
    const bool denied = error.code() == ErrorCode::permission_denied;
    throw error.with_context(cat("creating database ", util::printable(database)))
        .with_hint(denied ? "grant the login CREATEDB, or create the database and restore into it"
                          : "create the database by hand and restore into it");
  }
}

// A database with subscriptions cannot be dropped. Restored ones are disabled and have never had a
// slot at their publisher, which therefore need not be asked.
void Server::drop_subscriptions(const std::string& database) {
  const auto inside = connect_if_there(login_, database, {});
  if (!inside) return;
  const Result names = inside->query(
      "SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = "
      "s.subdbid WHERE d.datname = pg_catalog.current_database()");
  for (std::size_t row = 0; row < names.rows(); ++row) {
    const std::string name = quote_name(names.view(row, 0));
    inside->execute(cat("ALTER SUBSCRIPTION ", name, " DISABLE"));
    inside->execute(cat("ALTER SUBSCRIPTION ", name, " SET (slot_name = NONE)"));
    inside->execute(cat("DROP SUBSCRIPTION ", name));
  }
}

void Server::drop(const std::string& database) {
  const Result subscribed = connection_->query(
      "SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid "
      "WHERE d.datname = $1",
      {database});
  if (subscribed.rows() > 0) drop_subscriptions(database);
  connection_->execute(cat("DROP DATABASE IF EXISTS ", quote_name(database), " WITH (FORCE)"));
}

void Server::replace(const std::string& database, const std::string& replacement) {
  const std::string old = replacement + "_old";
  try {
    // New sessions are kept out while the name changes hands.
    connection_->execute(cat("ALTER DATABASE ", quote_name(database), " ALLOW_CONNECTIONS false"));
    connection_->query(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE "
        "datname = $1",
        {database});
    connection_->execute(
        cat("ALTER DATABASE ", quote_name(database), " RENAME TO ", quote_name(old)));
  } catch (const Error& error) {
    connection_->execute(cat("ALTER DATABASE ", quote_name(database), " ALLOW_CONNECTIONS true"));
    throw error.with_context(cat("replacing database ", util::printable(database)));
  }
  connection_->execute(
      cat("ALTER DATABASE ", quote_name(replacement), " RENAME TO ", quote_name(database)));
  drop(old);
}

void Server::set_properties(const std::string& database, const std::vector<std::string>& lines,
                            bool no_owner) {
  const std::string name = quote_name(database);
  const Properties properties(lines);
  for (const Properties::Row& row : properties.rows) {
    std::string sql;
    if (row.name == "connection_limit" && row.value != "-1") {
      sql = cat("ALTER DATABASE ", name, " CONNECTION LIMIT ", row.value);
    } else if (row.name == "comment") {
      sql = cat("COMMENT ON DATABASE ", name, " IS ", quote_text(row.value));
    } else if (row.name == "setting") {
      sql = cat("ALTER DATABASE ", name, " SET ", row.more);
    } else if (row.name == "role_setting" && !no_owner) {
      sql = cat("ALTER ROLE ", row.value, " IN DATABASE ", name, " SET ", row.more);
    } else if (row.name == "grant" && !no_owner) {
      sql = cat("GRANT ", row.value, " ON DATABASE ", name, " TO ", row.more);
    }
    if (!sql.empty()) connection_->execute(sql);
  }
  // Where grants were ever touched, what PUBLIC has by default and did not have at the source goes.
  if (properties.find("explicit_grants") && !no_owner) {
    for (const char* privilege : {"CONNECT", "TEMPORARY"}) {
      const bool granted = std::any_of(
          properties.rows.begin(), properties.rows.end(), [&](const Properties::Row& row) {
            return row.name == "grant" && row.value == privilege && row.more.starts_with("PUBLIC");
          });
      if (granted) continue;
      connection_->execute(cat("REVOKE ", privilege, " ON DATABASE ", name, " FROM PUBLIC"));
    }
  }
  const auto owner = properties.find("owner");
  if (owner && !no_owner) {
    connection_->execute(cat("ALTER DATABASE ", name, " OWNER TO ", quote_name(*owner)));
  }
}

void Server::reserve(const std::string& scratch) {
  connection_->query(cat("SELECT pg_catalog.pg_advisory_lock(", kLockKey, ")"), {scratch});
}

void Server::drop_leftovers(util::Task& task) {
  const Result names = connection_->query(
      "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $1) AND "
      "datdba = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)",
      {kScratchPrefix});
  for (std::size_t row = 0; row < names.rows(); ++row) {
    const std::string name = names.text(row, 0);
    const Result held =
        connection_->query(cat("SELECT pg_catalog.pg_try_advisory_lock(", kLockKey, ")"), {name});
    if (!held.boolean(0, 0)) continue;
    drop(name);
    connection_->query(cat("SELECT pg_catalog.pg_advisory_unlock(", kLockKey, ")"), {name});
    task.info(cat("dropped ", util::printable(name), ", which a crashed run had left"));
  }
}

}  // namespace dbbackup::engine::postgresql
