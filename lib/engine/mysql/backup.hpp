// A database, or chosen tables of it, into an artifact.
//
// Streams: schema/definitions (definition.hpp), schema/columns (table, column, type, character set:
// what an export needs to read the rows), schema/users (accounts.hpp; whole backups whose login may
// read them), data/DATABASE.TABLE or data/DATABASE.TABLE#KEY (rows, see table_reader.hpp).
#pragma once

#include "engine/mysql/crew.hpp"

namespace dbbackup::engine::mysql {

inline constexpr const char* kColumnStream = "schema/columns";

// Errors: those of open_snapshot(); usage for a condition that is not SQL.
repository::Summary back_up_database(const Place& place, const std::string& password,
                                     const Scope& scope, repository::ArtifactWriter& writer,
                                     util::Task& task);

// What a live database hashes to: its tables, and its definitions when the scope is everything.
std::vector<repository::TableProof> fingerprint_database(const Place& place,
                                                         const std::string& password,
                                                         const Scope& scope, util::Task& task);

}  // namespace dbbackup::engine::mysql
