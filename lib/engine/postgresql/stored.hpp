// What an artifact of this engine holds, read once: its tables, its definitions, and which of them
// a scope chooses.
//
// Threads: a value. Errors: those of reading; not_found for patterns that match nothing.
#pragma once

#include <map>
#include <set>

#include "engine/postgresql/definitions.hpp"
#include "engine/postgresql/relations.hpp"

namespace dbbackup::engine::postgresql {

struct StoredDatabase {
  bool whole = false;    // the artifact holds everything
  bool all = false;      // and everything is chosen
  std::string encoding;  // of the rows
  util::Bytes archive;
  Definitions definitions;
  std::vector<StoredTable> tables;                          // the chosen ones with rows
  std::map<std::string, std::vector<std::string>> streams;  // by id of the table
  std::set<std::pair<std::string, std::string>> names() const;
};

StoredDatabase read_stored(repository::ArtifactReader& reader, const Scope& scope,
                           util::Task& task);

}  // namespace dbbackup::engine::postgresql
