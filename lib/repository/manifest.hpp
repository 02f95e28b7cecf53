// The manifest: everything that is known about one artifact, sealed; the truth of which the catalog
// is a journal.
#pragma once

#include <string>
#include <vector>

#include "repository/stream.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace dbbackup::repository {

struct Manifest {
  std::string id;
  std::string name;
  std::string repository_id;
  std::string database;
  std::string job;
  std::string run;
  std::string engine;
  std::string type;
  std::string base;
  util::TimePoint started;
  util::TimePoint sealed;
  // The database and job as they were set up, without secrets: what a rescan on an empty machine
  // makes them from. This room does not look inside.
  util::json::Object origin;
  Summary summary;
  std::vector<StreamInfo> streams;
  std::vector<std::string>
      chunk_lists;  // one id (hex) per stream: the chunk that holds its chunk ids
  std::uint64_t source_bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t added_bytes = 0;
  std::string root_hash;  // over the logical content only: equal content gives an equal hash in one
                          // repository
};

// Errors of decode: verification_failed.
util::json::Object encode_manifest(const Manifest& manifest);
Manifest decode_manifest(const util::json::Object& object);

}  // namespace dbbackup::repository
