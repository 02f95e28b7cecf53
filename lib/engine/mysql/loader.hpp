// The rows of one stream into one table.
//
// LOAD DATA LOCAL, fed from memory: the stream's text is what the statement reads, nothing is
// re-encoded. A server that forbids it gets INSERT statements of about a megabyte; a row's fields
// then become string literals, for which the row text's escapes are right as they are. Either way
// rows go in batches, so that a stop does not leave the server with a long rollback, and any
// warning of the server fails the restore.
//
// Threads: one loader per connection; it reads ahead on a thread of its own.
// Errors: those of the connection; io with the server's words for a warning.
#pragma once

#include "engine/mysql/crew.hpp"
#include "engine/mysql/schema.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mysql {

// Puts a session into the state in which rows go in exactly as they came out.
void prepare_loading(Connection& connection, const Server& server);

// Whether the server takes LOAD DATA LOCAL from us.
bool allows_local_infile(Connection& connection);

// Requires: `table` describes the target; the stream's columns exist there.
// Returns the number of rows.
std::uint64_t load_stream(Connection& connection, repository::ArtifactReader& reader,
                          const std::string& stream, const StoredTable& table, bool local_infile,
                          util::Task& task);

}  // namespace dbbackup::engine::mysql
