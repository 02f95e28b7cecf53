// What is neither definition nor row of a table: positions of sequences, large objects, the order
// in which materialized views are filled, roles, and the properties of the database itself.
//
// Each is a stream of rows of its own, in the same text form as tables, so that it is proved like
// one.
//
// Threads: the connection's. Errors: those of Connection.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/postgresql/connection.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::postgresql {

inline constexpr const char* kSequencesStream = "meta/sequences";
inline constexpr const char* kLargeObjectsStream = "data/large objects";
inline constexpr const char* kLargeObjectOwnersStream = "meta/large objects";
inline constexpr const char* kViewsStream = "meta/materialized views";
inline constexpr const char* kRolesStream = "meta/roles";
inline constexpr const char* kDatabaseStream = "meta/database";

// Names of these in the proof; names of tables have a dot.
inline constexpr const char* kSequencesProof = "sequences";
inline constexpr const char* kLargeObjectsProof = "large objects";
inline constexpr const char* kDefinitionsProof = "definitions";

// schema, name, last value, whether it was used; ordered by name. Those the login cannot read are
// named in `unreadable`.
std::vector<std::string> sequence_lines(Connection& connection,
                                        std::vector<std::string>& unreadable);
// Sets those in `only` (all, when empty): schema and name.
void set_sequences(Connection& connection, const std::vector<std::string>& lines,
                   const std::set<std::pair<std::string, std::string>>* only);

bool has_large_objects(Connection& connection);
// COPY statement for oid, number of the page, bytes of the page.
std::string large_objects_sql();
// oid, owner, grants, comment.
std::vector<std::string> large_object_owner_lines(Connection& connection);
// Creates them all, then fills them from the rows that `fill` sends.
void restore_large_objects(Connection& connection, const std::vector<std::string>& owners,
                           bool no_owner, const std::function<void(const Connection::Put&)>& fill);

// Materialized views with content, each after those it reads: schema, name.
std::vector<std::string> filled_view_lines(Connection& connection);

// Roles the login may see, each as a line of CREATE ROLE words; with password verifiers for a
// superuser only. kind (role, member, setting), name, statement.
std::vector<std::string> role_lines(Connection& connection);

// Encoding, locale, owner, limits, settings, grants and comment: one line of name and value each.
std::vector<std::string> database_lines(Connection& connection);

// Lines of a stream as the artifact has them, without newline.
std::vector<std::string> read_lines(repository::ArtifactReader& reader, const std::string& stream,
                                    util::Task& task);
void write_lines(repository::ArtifactWriter& writer, const std::string& stream,
                 const std::vector<std::string>& lines, const std::vector<std::string>& columns);
repository::RowHash hash_of(const std::vector<std::string>& lines);
bool has_stream(const repository::ArtifactReader& reader, std::string_view name);

}  // namespace dbbackup::engine::postgresql
