// Users, roles and grants of a server, as the statements that make them again.
//
// They belong to the server, not to one database: a backup keeps them when the login may read them,
// and a restore touches them only with the option users=restore, and then only makes accounts that
// are missing. The stream schema/users has rows of the row text: account, statement. Statements
// hold password hashes and are never shown.
//
// Threads: one connection's.
#pragma once

#include "engine/mysql/schema.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mysql {

inline constexpr const char* kUserStream = "schema/users";

// False when the login may not read them; then there is no stream.
bool back_up_accounts(Connection& connection, const Server& server,
                      repository::ArtifactWriter& writer);

// The accounts of an artifact that the server does not have.
class MissingAccounts {
 public:
  MissingAccounts(Connection& connection, repository::ArtifactReader& reader, util::Task& task);

  // Runs the statements that have not succeeded yet.
  void make(Connection& connection);
  // About what is still missing.
  std::vector<std::string> warnings() const;

 private:
  struct Statement {
    std::string account;
    std::string sql;
  };
  std::vector<Statement> open_;
  bool unknown_ = false;  // the artifact holds none
};

}  // namespace dbbackup::engine::mysql
