#include "repository/artifact_reader.hpp"

#include <algorithm>

#include "repository/read_ahead.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::cat;
using util::Error;
using util::ErrorCode;

ChunkId chunk_list_root(const Manifest& manifest, std::size_t stream) {
  const util::Bytes bytes = util::from_hex(manifest.chunk_lists.at(stream)).value();
  ChunkId id{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), id.size()), id.begin());
  return id;
}

std::vector<ChunkRef> chunks_of_stream(const ChunkSource& source, const Manifest& manifest,
                                       std::size_t stream, std::stop_token stop,
                                       std::vector<ChunkId>* lists) {
  const StreamInfo& info = manifest.streams.at(stream);
  std::vector<ChunkRef> chunks;
  try {
    chunks = load_chunk_lists(source, chunk_list_root(manifest, stream), std::move(stop), lists);
  } catch (const Error& error) {
    throw error.with_context(cat("stream ", util::printable(info.name)));
  }
  std::uint64_t bytes = 0;
  for (const ChunkRef& chunk : chunks) bytes += chunk.plain;
  if (chunks.size() != info.chunks || bytes != info.bytes) {
    throw Error(ErrorCode::verification_failed,
                cat("stream ", util::printable(info.name), " of artifact ", manifest.id,
                    ": its chunk list does not fit the manifest"));
  }
  return chunks;
}

namespace {

class StreamReaderImpl final : public StreamReader {
 public:
  StreamReaderImpl(const ChunkSource& source, const Manifest& manifest, std::size_t stream,
                   std::shared_ptr<void> keep_alive)
      : source_(source),
        keep_alive_(std::move(keep_alive)),
        info_(manifest.streams.at(stream)),
        chunks_(chunks_of_stream(source, manifest, stream, {})) {
    offsets_.reserve(chunks_.size() + 1);
    offsets_.push_back(0);
    for (const ChunkRef& chunk : chunks_) offsets_.push_back(offsets_.back() + chunk.plain);
  }

  const StreamInfo& info() const override { return info_; }
  std::uint64_t chunk_count() const override { return chunks_.size(); }
  std::uint64_t chunk_offset(std::uint64_t index) const override { return offsets_.at(index); }

  util::Bytes read_chunk(std::uint64_t index, std::stop_token stop) override {
    const ChunkRef& chunk = chunks_.at(index);
    util::Bytes plain = source_.read(chunk.id, std::move(stop));
    if (plain.size() != chunk.plain) {
      throw Error(ErrorCode::verification_failed,
                  cat("stream ", util::printable(info_.name), ": chunk ", index,
                      " has another length than its chunk list says"));
    }
    return plain;
  }

  void read_all(const std::function<void(std::uint64_t, util::ByteView)>& take, unsigned workers,
                util::Task& task) override {
    read_in_order(
        source_, chunks_, {.workers = workers, .verify = false}, task.stop(),
        [&](std::uint64_t index, util::ByteView plain, const std::optional<Problem>& problem) {
          if (problem) {
            throw problem->as_error().with_context(cat("stream ", util::printable(info_.name)));
          }
          take(offsets_[index], plain);
        });
  }

 private:
  const ChunkSource source_;
  const std::shared_ptr<void> keep_alive_;
  const StreamInfo info_;
  const std::vector<ChunkRef> chunks_;
  std::vector<std::uint64_t> offsets_;
};

class ArtifactReaderImpl final : public ArtifactReader {
 public:
  ArtifactReaderImpl(const ChunkSource& source, Manifest manifest, std::shared_ptr<void> keep_alive)
      : source_(source), manifest_(std::move(manifest)), keep_alive_(std::move(keep_alive)) {}

  const std::string& id() const override { return manifest_.id; }
  const std::string& engine() const override { return manifest_.engine; }
  const Summary& summary() const override { return manifest_.summary; }
  const std::vector<StreamInfo>& streams() const override { return manifest_.streams; }

  std::unique_ptr<StreamReader> open(const std::string& name) override {
    for (std::size_t i = 0; i < manifest_.streams.size(); ++i) {
      if (manifest_.streams[i].name == name) {
        return std::make_unique<StreamReaderImpl>(source_, manifest_, i, keep_alive_);
      }
    }
    throw Error(ErrorCode::not_found,
                cat("artifact ", manifest_.id, " has no stream ", util::printable(name)));
  }

 private:
  const ChunkSource source_;
  const Manifest manifest_;
  const std::shared_ptr<void> keep_alive_;
};

}  // namespace

std::unique_ptr<ArtifactReader> make_artifact_reader(const ChunkSource& source, Manifest manifest,
                                                     std::shared_ptr<void> keep_alive) {
  return std::make_unique<ArtifactReaderImpl>(source, std::move(manifest), std::move(keep_alive));
}

}  // namespace dbbackup::repository
