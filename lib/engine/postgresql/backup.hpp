// A PostgreSQL database into an artifact, and the fingerprint of one.
//
// Streams: schema/definitions (pg_dump's custom archive without data), meta/tables (one JSON object
// per table: columns and the streams that hold its rows), data/SCHEMA.TABLE or, for large tables,
// data/SCHEMA.TABLE/CELL (rows as COPY writes them), and those of extras.hpp.
//
// Errors: those of open_snapshot(), find_program() and run_program().
#pragma once

#include "engine/postgresql/definitions.hpp"
#include "engine/postgresql/session.hpp"

namespace dbbackup::engine::postgresql {

inline constexpr const char* kDefinitionsStream = "schema/definitions";
inline constexpr const char* kTablesStream = "meta/tables";

repository::Summary back_up_database(const Login& login, const Scope& scope,
                                     repository::ArtifactWriter& writer, util::Task& task);

std::vector<repository::TableProof> fingerprint_database(const Login& login, const Scope& scope,
                                                         util::Task& task);

// Adds the units that hash the rows of a table as COPY writes them in this encoding. Requires:
// `table` and `proof` outlive the units.
class TableHasher {
 public:
  explicit TableHasher(util::Task& task) : task_(task) {}
  void add_units(Connection& connection, const StoredTable& table, const std::string& encoding,
                 repository::TableProof& proof, std::vector<Unit>& units);

 private:
  util::Task& task_;
  std::mutex mutex_;
};
// Proofs of sequences and large objects, where there are any.
void add_extra_proofs(Connection& connection, std::vector<repository::TableProof>& proofs);

}  // namespace dbbackup::engine::postgresql
