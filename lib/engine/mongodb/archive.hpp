// The archive format of mongodump and mongorestore, written and read.
//
// magic, header, one document per collection, then blocks of documents, each with a header that
// names the collection, and at each collection's end a CRC-64 over its documents.
//
// Threads: one. Errors: source_damaged for a file that is not such an archive; unsupported;
// already_exists, io; verification_failed for a wrong check sum.
// Source: mongodb/mongo-tools, common/archive: archive.go, prelude.go, multiplexer.go.
#pragma once

#include <string>

#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mongodb {

bool is_mongodump_archive(const std::string& path);
void write_mongodump_archive(const std::string& path, repository::ArtifactReader& reader,
                             util::Task& task);
// All collections of the archive's one database into the streams of an artifact.
repository::Summary read_mongodump_archive(const std::string& path,
                                           repository::ArtifactWriter& writer, util::Task& task);

}  // namespace dbbackup::engine::mongodb
