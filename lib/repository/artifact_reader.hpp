// The reading side of stream.hpp on top of ChunkSource.
//
// Threads: as ArtifactReader says.
// Owns: through `keep_alive` whatever the source stands on.
#pragma once

#include <memory>

#include "repository/chunk_source.hpp"
#include "repository/manifest.hpp"

namespace dbbackup::repository {

std::unique_ptr<ArtifactReader> make_artifact_reader(const ChunkSource& source, Manifest manifest,
                                                     std::shared_ptr<void> keep_alive);

// The root list of a manifest's stream. Requires: decode_manifest() made it.
ChunkId chunk_list_root(const Manifest& manifest, std::size_t stream);

// The chunks of a stream, compared with what the manifest says of them.
// Errors: verification_failed.
std::vector<ChunkRef> chunks_of_stream(const ChunkSource& source, const Manifest& manifest,
                                       std::size_t stream, std::stop_token stop,
                                       std::vector<ChunkId>* lists = nullptr);

}  // namespace dbbackup::repository
