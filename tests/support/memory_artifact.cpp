#include "support/memory_artifact.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::test {

namespace {
using repository::StreamKind;
constexpr std::uint64_t kChunkBytes = 64 * 1024;
}  // namespace

class MemoryArtifactWriter::Writer final : public repository::StreamWriter {
 public:
  Writer(MemoryArtifactWriter& owner, repository::StreamInfo info)
      : owner_(owner), stream_(std::make_shared<MemoryStream>()) {
    stream_->info = std::move(info);
    stream_->chunk_offsets = {0};
  }

  void write(util::ByteView content) override {
    tell();
    stream_->content.insert(stream_->content.end(), content.begin(), content.end());
  }

  void end_row() override {
    const std::size_t end = stream_->content.size();
    if (end == row_start_ || stream_->content[end - 1] != '\n') {
      throw util::Error(util::ErrorCode::internal, "a row does not end in a newline");
    }
    hash_.add(util::ByteView(stream_->content).subspan(row_start_, end - 1 - row_start_));
    row_start_ = end;
    if (end - stream_->chunk_offsets.back() >= kChunkBytes) stream_->chunk_offsets.push_back(end);
  }

  void write_block(std::uint64_t number, util::ByteView content) override {
    tell();
    if (content.size() > stream_->info.block_bytes) {
      throw util::Error(util::ErrorCode::internal, "a block is too long");
    }
    const std::uint64_t start = number * stream_->info.block_bytes;
    if (stream_->content.size() < start + content.size()) {
      stream_->content.resize(start + content.size());
    }
    std::copy(content.begin(), content.end(),
              stream_->content.begin() + static_cast<std::ptrdiff_t>(start));
  }

  repository::StreamInfo close() override {
    const std::uint64_t size = stream_->content.size();
    auto& offsets = stream_->chunk_offsets;
    if (stream_->info.kind == StreamKind::pages) {
      while (offsets.back() + stream_->info.block_bytes < size) {
        offsets.push_back(offsets.back() + stream_->info.block_bytes);
      }
    }
    if (offsets.back() < size) offsets.push_back(size);
    stream_->info.bytes = size;
    stream_->info.chunks = offsets.size() - 1;
    stream_->info.rows = hash_.rows();
    stream_->info.hash = hash_.hex();
    const std::scoped_lock lock(owner_.mutex_);
    owner_.artifact_.streams[stream_->info.name] = stream_;
    return stream_->info;
  }

 private:
  void tell() {
    if (owner_.on_write_) owner_.on_write_(stream_->info.name);
  }

  MemoryArtifactWriter& owner_;
  std::shared_ptr<MemoryStream> stream_;
  repository::RowHash hash_;
  std::size_t row_start_ = 0;
};

std::unique_ptr<repository::StreamWriter> MemoryArtifactWriter::open(
    const std::string& name, StreamKind kind, const repository::StreamOptions& options) {
  repository::StreamInfo info;
  info.name = name;
  info.kind = kind;
  info.columns = options.columns;
  info.block_bytes = options.block_bytes;
  return std::make_unique<Writer>(*this, std::move(info));
}

namespace {
class Reader final : public repository::StreamReader {
 public:
  Reader(std::shared_ptr<MemoryStream> stream, std::shared_ptr<std::atomic<std::uint64_t>> count)
      : stream_(std::move(stream)), count_(std::move(count)) {}
  const repository::StreamInfo& info() const override { return stream_->info; }
  std::uint64_t chunk_count() const override { return stream_->chunk_offsets.size() - 1; }
  std::uint64_t chunk_offset(std::uint64_t index) const override {
    return stream_->chunk_offsets.at(index);
  }
  util::Bytes read_chunk(std::uint64_t index, std::stop_token) override {
    ++*count_;
    const auto from = static_cast<std::ptrdiff_t>(chunk_offset(index));
    const auto to = static_cast<std::ptrdiff_t>(chunk_offset(index + 1));
    return {stream_->content.begin() + from, stream_->content.begin() + to};
  }
  void read_all(const std::function<void(std::uint64_t, util::ByteView)>& take, unsigned,
                util::Task& task) override {
    for (std::uint64_t i = 0; i < chunk_count(); ++i) {
      task.check();
      take(chunk_offset(i), read_chunk(i, task.stop()));
    }
  }

 private:
  std::shared_ptr<MemoryStream> stream_;
  std::shared_ptr<std::atomic<std::uint64_t>> count_;
};
}  // namespace

MemoryArtifactReader::MemoryArtifactReader(const MemoryArtifact& artifact)
    : artifact_(artifact), chunks_read_(std::make_shared<std::atomic<std::uint64_t>>(0)) {
  for (const auto& [name, stream] : artifact.streams) streams_.push_back(stream->info);
}

std::unique_ptr<repository::StreamReader> MemoryArtifactReader::open(const std::string& name) {
  const auto found = artifact_.streams.find(name);
  if (found == artifact_.streams.end()) {
    throw util::Error(util::ErrorCode::not_found, util::cat("no stream ", name));
  }
  return std::make_unique<Reader>(found->second, chunks_read_);
}

}  // namespace dbbackup::test
