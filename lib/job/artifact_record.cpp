#include "job/artifact_record.hpp"

namespace dbbackup::job {

catalog::Artifact artifact_record(const repository::Manifest& manifest,
                                  const std::string& repository_name) {
  catalog::Artifact artifact;
  artifact.id = manifest.id;
  artifact.name = manifest.name;
  artifact.job = manifest.job;
  artifact.database = manifest.database;
  artifact.repository = repository_name;
  artifact.engine = manifest.engine;
  artifact.server_version = manifest.summary.server_version;
  artifact.type = manifest.type;
  artifact.base = manifest.base;
  artifact.created_at = manifest.sealed;
  artifact.started_at = manifest.started;
  artifact.consistency_kind = manifest.summary.consistency_kind;
  artifact.consistency_position = manifest.summary.consistency_position;
  artifact.streams = manifest.streams.size();
  artifact.rows = manifest.rows;
  artifact.source_bytes = manifest.source_bytes;
  artifact.added_bytes = manifest.added_bytes;
  artifact.warnings = manifest.summary.warnings;
  artifact.suspicions = manifest.summary.suspicions;
  artifact.skipped = manifest.summary.skipped;
  return artifact;
}

}  // namespace dbbackup::job
