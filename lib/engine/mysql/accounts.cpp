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

MissingAccounts::MissingAccounts(Connection& connection, repository::ArtifactReader& reader,
                                 util::Task& task)
    : unknown_(!has_stream(reader, kUserStream)) {
  if (unknown_) return;
  std::set<std::string> existing;
  for (const Row& row : connection.query("SELECT User, Host FROM mysql.user")) {
    const std::string user = row.at(0).value_or("");
    existing.insert(account_name(user, row.at(1).value_or(""), false));
    existing.insert(account_name(user, "", true));
  }
  std::vector<std::optional<std::string>> fields;
  read_lines(
      reader, kUserStream,
      [&](std::string_view line) {
        split_row(line, fields);
        if (fields.size() != 2 || existing.contains(fields[0].value_or(""))) return;
        open_.push_back({fields[0].value_or(""), fields[1].value_or("")});
      },
      task);
}

void MissingAccounts::make(Connection& connection) {
  std::erase_if(open_,
                [&](const Statement& statement) { return connection.try_execute(statement.sql); });
}

std::vector<std::string> MissingAccounts::warnings() const {
  if (unknown_) return {"the artifact holds no users: the login of the backup could not read them"};
  // Not the server's own words: they may quote the statement, and with it a password hash.
  std::set<std::string> accounts;
  for (const Statement& statement : open_) accounts.insert(statement.account);
  std::vector<std::string> sentences;
  for (const std::string& account : accounts) {
    sentences.push_back(cat("account ", util::printable(account),
                            " was not restored completely: the server refused a statement"));
  }
  return sentences;
}

}  // namespace dbbackup::engine::mysql
