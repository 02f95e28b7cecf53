// The writing side of stream.hpp on top of the seal pipeline: cuts streams, counts and hashes rows,
// collects what they became.
//
// Threads: as ArtifactWriter says.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "repository/chunker.hpp"
#include "repository/repository.hpp"
#include "repository/seal_pipeline.hpp"

namespace dbbackup::repository {

struct FinishedStream {
  StreamInfo info;
  ChunkId chunk_list{};
};

class ArtifactWriterImpl final : public ArtifactWriter {
 public:
  // Requires: keys, gear and task outlive the writer. `on_end` is called when it goes.
  ArtifactWriterImpl(ArtifactIdentity identity, const Keys& keys, const GearTable& gear,
                     std::shared_ptr<SealPipeline> pipeline, util::Task& task,
                     std::function<void()> on_end);
  ~ArtifactWriterImpl() override;

  std::unique_ptr<StreamWriter> open(const std::string& name, StreamKind kind,
                                     const StreamOptions& options) override;

  SealPipeline& pipeline() { return *pipeline_; }
  util::Task& task() { return task_; }
  // The manifest of everything closed so far; ends the writer's use.
  // Errors: internal, when a stream is open or the writer was used before.
  Manifest seal(const Summary& summary, util::TimePoint now);

 private:
  // Shared with the stream writers, which may outlive the artifact's.
  struct Streams {
    std::mutex mutex;
    std::set<std::string> open;
    std::map<std::string, FinishedStream> finished;
    bool spent = false;
  };
  class PagesWriter;
  class CutWriter;
  class Base;

  const ArtifactIdentity identity_;
  const Keys& keys_;
  const GearTable& gear_;
  const std::shared_ptr<SealPipeline> pipeline_;
  util::Task& task_;
  const std::shared_ptr<Streams> streams_ = std::make_shared<Streams>();
  const std::function<void()> on_end_;
};

// FORMAT.md section 8.
std::string root_hash(const Keys& keys, const Manifest& manifest);

}  // namespace dbbackup::repository
