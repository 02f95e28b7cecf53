// Reading the small line streams of an artifact, and its definitions.
//
// Threads: one at a time. Errors: verification_failed.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "engine/mysql/definition.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mysql {

bool has_stream(const repository::ArtifactReader& reader, std::string_view name);
// Calls `each` with every line, without its newline; lines are held in memory one at a time.
void read_lines(repository::ArtifactReader& reader, const std::string& stream,
                const std::function<void(std::string_view line)>& each, util::Task& task);
std::vector<Definition> read_artifact_definitions(repository::ArtifactReader& reader,
                                                  util::Task& task);
// The name of the database that was backed up.
std::string source_database(const repository::ArtifactReader& reader);
// The streams with a table's rows.
std::vector<std::string> row_streams(const repository::ArtifactReader& reader,
                                     const std::string& table);

}  // namespace dbbackup::engine::mysql
