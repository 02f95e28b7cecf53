#include "engine/mysql/accounts.hpp"

#include <set>

#include "engine/mysql/artifact_lines.hpp"
#include "engine/row_text.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

struct Statement {
  std::string account;
  std::string sql;
};

bool is_of_the_server(const std::string& user) {
  return user == "mariadb.sys" || user == "mysql.sys" || user == "mysql.session" ||
         user == "mysql.infoschema" || user.empty();
}

std::string account_name(const std::string& user, const std::string& host, bool role) {
  return role ? quote_name(user) : cat(quote_name(user), "@", quote_name(host));
}

void read_role(Connection& connection, const std::string& account,
               std::vector<Statement>& statements) {
  statements.push_back({account, cat("CREATE ROLE IF NOT EXISTS ", account)});
  for (const Row& row : connection.query(cat("SHOW GRANTS FOR ", account))) {
    statements.push_back({account, row.at(0).value_or("")});
  }
}

void read_user(Connection& connection, const std::string& account,
               std::vector<Statement>& statements) {
  std::string create = connection.value(cat("SHOW CREATE USER ", account)).value_or("");
  static constexpr std::string_view kHead = "CREATE USER ";
  if (create.starts_with(kHead)) create.insert(kHead.size(), "IF NOT EXISTS ");
  statements.push_back({account, create});
  for (const Row& row : connection.query(cat("SHOW GRANTS FOR ", account))) {
    statements.push_back({account, row.at(0).value_or("")});
  }
}

std::vector<Statement> read_accounts(Connection& connection, const Server& server) {
  std::vector<Statement> statements;
  const std::string role = server.mariadb ? "is_role='Y'" : "0";
  // Roles first: grants name them.
  const auto rows = connection.query(
      cat("SELECT User, Host, ", role, " FROM mysql.user ORDER BY 3 DESC, User, Host"));
  for (const Row& row : rows) {
    const std::string user = row.at(0).value_or("");
    if (is_of_the_server(user)) continue;
    const bool is_role = row.at(2).value_or("0") == "1";
    const std::string account = account_name(user, row.at(1).value_or(""), is_role);
    try {
      is_role ? read_role(connection, account, statements)
              : read_user(connection, account, statements);
    } catch (const Error& error) {
      // Accounts that the server itself ignores: host names under skip_name_resolve, for example.
      if (error.code() != ErrorCode::io) throw;
    }
  }
  return statements;
}
}  // namespace

bool back_up_accounts(Connection& connection, const Server& server,
                      repository::ArtifactWriter& writer) {
  std::vector<Statement> statements;
  try {
    statements = read_accounts(connection, server);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::permission_denied) throw error.with_context("reading accounts");
    return false;
  }
  const auto stream = writer.open(kUserStream, repository::StreamKind::lines,
                                  {.columns = {"account", "statement"}});
  for (const Statement& statement : statements) {
    std::string line;
    append_row_field(statement.account, line);
    line += '\t';
    append_row_field(statement.sql, line);
    line += '\n';
    stream->write(util::as_bytes(line));
    stream->end_row();
  }
  stream->close();
  return true;
}

std::vector<std::string> restore_accounts(Connection& connection,
                                          repository::ArtifactReader& reader, util::Task& task) {
  if (!has_stream(reader, kUserStream)) {
    return {"the artifact holds no users: the login of the backup could not read them"};
  }
  std::vector<std::string> warnings;
  std::set<std::string> existing;
  for (const Row& row : connection.query("SELECT User, Host FROM mysql.user")) {
    const std::string user = row.at(0).value_or("");
    existing.insert(account_name(user, row.at(1).value_or(""), false));
    existing.insert(account_name(user, "", true));
  }
  std::set<std::string> failed;
  std::vector<std::optional<std::string>> fields;
  read_lines(
      reader, kUserStream,
      [&](std::string_view line) {
        split_row(line, fields);
        if (fields.size() != 2) return;
        const std::string account = fields[0].value_or("");
        if (existing.contains(account) || failed.contains(account)) return;
        try {
          connection.execute(fields[1].value_or(""));
        } catch (const Error& error) {
          if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
          // The server's words may quote the statement, and with it the password hash.
          warnings.push_back(cat("account ", util::printable(account),
                                 " was not restored completely: the server refused a statement"));
          failed.insert(account);
        }
      },
      task);
  return warnings;
}

}  // namespace dbbackup::engine::mysql
