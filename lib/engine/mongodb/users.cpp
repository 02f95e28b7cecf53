#include "engine/mongodb/users.hpp"

#include "engine/mongodb/backup.hpp"
#include "engine/mongodb/loader.hpp"
#include "engine/mongodb/stored_documents.hpp"
#include "util/error.hpp"

namespace dbbackup::engine::mongodb {

namespace {
constexpr const char* kTemporaryUsers = "tempusers";
constexpr const char* kTemporaryRoles = "temproles";

std::vector<Document> documents_of(repository::ArtifactReader& reader, const char* stream,
                                   util::Task& task) {
  std::vector<Document> documents;
  each_stored_document(reader, stream, 1, task,
                       [&](util::ByteView document) { documents.emplace_back(document); });
  return documents;
}

void drop_temporary(Client& client) {
  for (const char* name : {kTemporaryUsers, kTemporaryRoles}) {
    try {
      client.command("admin", Document().text("drop", name));
    } catch (const ServerError& error) {
      if (error.number() != kNamespaceNotFound) throw;
    }
  }
}

// They hold credentials, so they go however the merge ends.
class TemporaryCollections {
 public:
  explicit TemporaryCollections(Client& client) : client_(client) { drop_temporary(client_); }
  ~TemporaryCollections() {
    try {
      drop_temporary(client_);
    } catch (const std::exception&) {
      // The merge has failed for the same reason and says so; the next one begins by dropping them.
    }
  }
  TemporaryCollections(const TemporaryCollections&) = delete;
  TemporaryCollections& operator=(const TemporaryCollections&) = delete;

 private:
  Client& client_;
};

void insert(Client& client, const char* collection, const std::vector<Document>& documents) {
  Refusals refusals;
  for (const Document& document : documents) {
    const Reply reply = client.command(
        "admin", Document().text("insert", collection).array("documents", {document}));
    refusals.add(collection, 1, reply.view());
  }
  refusals.require_none();
}
}  // namespace

UsersOutcome count_users(repository::ArtifactReader& reader, util::Task& task) {
  return {documents_of(reader, kUsersStream, task).size(),
          documents_of(reader, kRolesStream, task).size(), false};
}

UsersOutcome merge_users(Client& client, repository::ArtifactReader& reader, util::Task& task) {
  const auto users = documents_of(reader, kUsersStream, task);
  const auto roles = documents_of(reader, kRolesStream, task);
  const TemporaryCollections temporary(client);
  insert(client, kTemporaryUsers, users);
  insert(client, kTemporaryRoles, roles);
  Document command;
  command.int32("_mergeAuthzCollections", 1);
  if (!users.empty()) command.text("tempUsersCollection", std::string("admin.") + kTemporaryUsers);
  if (!roles.empty()) command.text("tempRolesCollection", std::string("admin.") + kTemporaryRoles);
  command.text("db", client.database()).boolean("drop", false);
  if (users.size() + roles.size() > 0) client.command("admin", command);
  return {users.size(), roles.size(), true};
}

}  // namespace dbbackup::engine::mongodb
