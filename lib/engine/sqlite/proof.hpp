// Row counts and content hashes of tables, computed by several connections at once.
//
// The hash of a table does not depend on the order of its rows, so a large table is cut into ranges
// of rowids that any worker may take. The schema is proved as well, as a table named
// "sqlite_schema", when everything is.
//
// Threads: results may be added to from any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/sqlite/schema.hpp"
#include "engine/sqlite/session.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::sqlite_engine {

class Proof {
 public:
  // Requires: schema and task outlive the object and its units.
  Proof(const Schema& schema, const Scope& scope, util::Task& task);

  // Work for run_units().
  std::vector<Unit> units(sqlite::Connection& connection);
  // After the units: one entry per table, in order of creation.
  std::vector<repository::TableProof> result() const;

 private:
  void hash_rows(sqlite::Connection& connection, std::size_t table, const std::string& sql);

  const Schema& schema_;
  const Scope& scope_;
  util::Task& task_;
  std::mutex mutex_;
  std::vector<repository::TableProof> proofs_;
};

// The whole computation on given sessions.
std::vector<repository::TableProof> prove(Sessions& sessions, const Schema& schema,
                                          const Scope& scope, util::Task& task);

// The name under which the schema is proved, beside the tables.
inline constexpr const char* kSchemaProof = "sqlite_schema";

// SELECT whose rows are the schema's, as they are hashed and stored in the stream schema/main.
std::string schema_select();

}  // namespace dbbackup::engine::sqlite_engine
