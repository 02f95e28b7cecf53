// An artifact that lives in memory: lets engine tests run without a repository.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "repository/stream.hpp"

namespace dbbackup::test {

struct MemoryStream {
  repository::StreamInfo info;
  util::Bytes content;
  std::vector<std::uint64_t> chunk_offsets;  // with the end
};

class MemoryArtifact {
 public:
  std::map<std::string, std::shared_ptr<MemoryStream>> streams;
  repository::Summary summary;
  std::string engine = "sqlite";

  const MemoryStream& stream(const std::string& name) const { return *streams.at(name); }
};

// Streams appear in the artifact when they are closed. `on_write` is called for every piece, before
// it is kept.
class MemoryArtifactWriter final : public repository::ArtifactWriter {
 public:
  using Hook = std::function<void(const std::string& stream)>;
  explicit MemoryArtifactWriter(MemoryArtifact& artifact, Hook on_write = {})
      : artifact_(artifact), on_write_(std::move(on_write)) {}
  std::unique_ptr<repository::StreamWriter> open(const std::string& name,
                                                 repository::StreamKind kind,
                                                 const repository::StreamOptions& options) override;

 private:
  class Writer;
  MemoryArtifact& artifact_;
  const Hook on_write_;
  std::mutex mutex_;
};

class MemoryArtifactReader final : public repository::ArtifactReader {
 public:
  // Requires: artifact outlives the reader.
  explicit MemoryArtifactReader(const MemoryArtifact& artifact);
  const std::string& id() const override { return id_; }
  const std::string& engine() const override { return artifact_.engine; }
  const repository::Summary& summary() const override { return artifact_.summary; }
  const std::vector<repository::StreamInfo>& streams() const override { return streams_; }
  std::unique_ptr<repository::StreamReader> open(const std::string& name) override;
  // Chunks delivered so far by all streams, to prove that only what is needed is read.
  std::uint64_t chunks_read() const { return *chunks_read_; }

 private:
  const MemoryArtifact& artifact_;
  const std::string id_ = "01memory";
  std::vector<repository::StreamInfo> streams_;
  std::shared_ptr<std::atomic<std::uint64_t>> chunks_read_;
};

}  // namespace dbbackup::test
