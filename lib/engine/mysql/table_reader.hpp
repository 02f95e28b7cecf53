// The rows of a schema's tables as units of work: what a backup writes and a proof hashes.
//
// A table is one unit, or, when it is big and its primary key begins with an integer, one per range
// of its key (key_grid.hpp). Rows come in the order of the primary key.
//
// Threads: plan on one thread; the units run on any.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "engine/mysql/crew.hpp"
#include "engine/mysql/key_grid.hpp"
#include "engine/mysql/snapshot.hpp"
#include "repository/stream.hpp"

namespace dbbackup::engine::mysql {

struct TablePart {
  std::size_t table = 0;  // in Schema::tables
  std::optional<KeyRange> range;
  std::string sql;
  std::uint64_t bytes = 0;  // estimate
};

// Non-transactional tables first, then the largest first.
std::vector<TablePart> plan_parts(Connection& connection, const Server& server,
                                  const Schema& schema, const Scope& scope, util::Task& task);

// "data/shop.orders", "data/shop.orders#4096". A # or % of a name is written as %23 or %25, so that
// what follows # is always the range.
std::string data_stream(const std::string& database, const std::string& table);
std::string part_stream(const std::string& database, const StoredTable& table,
                        const TablePart& part);

// Row counts and hashes of the tables, by the snapshot's readers.
std::vector<repository::TableProof> prove(Run& run, Snapshot& snapshot, const Scope& scope,
                                          util::Task& task);

}  // namespace dbbackup::engine::mysql
