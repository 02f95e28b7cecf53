#include "repository/artifact_writer.hpp"

#include <algorithm>

#include "repository/row_hasher.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
Error misuse(const std::string& stream, std::string_view what) {
  return {ErrorCode::internal, cat("stream ", util::printable(stream), ": ", what)};
}
}  // namespace

// What the writers of all kinds share: a name that is taken while they live, and the way a stream
// ends.
class ArtifactWriterImpl::Base : public StreamWriter {
 public:
  Base(ArtifactWriterImpl& artifact, const std::string& name, StreamKind kind,
       const StreamOptions& options)
      : pipeline_(artifact.pipeline_), task_(artifact.task_), streams_(artifact.streams_) {
    info_.name = name;
    info_.kind = kind;
    info_.columns = options.columns;
    info_.block_bytes = kind == StreamKind::pages ? options.block_bytes : 0;
  }
  ~Base() override {
    const std::scoped_lock lock(streams_->mutex);
    streams_->open.erase(info_.name);
  }

  void write(ByteView) override { throw misuse(info_.name, "its kind has no write()"); }
  void end_row() override { throw misuse(info_.name, "its kind has no rows"); }
  void write_block(std::uint64_t, ByteView) override {
    throw misuse(info_.name, "its kind has no blocks");
  }

 protected:
  void submit(Bytes chunk, std::uint64_t slot) {
    task_.check();
    pipeline_->submit(std::move(chunk), chunks_, slot);
  }
  void require_open() const {
    if (closed_) throw misuse(info_.name, "used after close()");
  }

  // Everything is submitted: waits, stores the chunk list and enters the stream into the artifact.
  StreamInfo finish(const std::function<void(std::vector<ChunkRef>&)>& inspect) {
    closed_ = true;
    pipeline_->wait(*chunks_);
    std::vector<ChunkRef> chunks = chunks_->take();
    inspect(chunks);
    info_.chunks = chunks.size();
    const ChunkRef root = pipeline_->store_chunk_lists(std::move(chunks));
    if (info_.hash.empty()) info_.hash = util::to_hex(root.id);
    const std::scoped_lock lock(streams_->mutex);
    streams_->open.erase(info_.name);
    streams_->finished[info_.name] = {info_, root.id};
    return info_;
  }

  const std::shared_ptr<SealPipeline> pipeline_;
  util::Task& task_;
  const std::shared_ptr<Streams> streams_;
  const std::shared_ptr<Receiver> chunks_ = std::make_shared<Receiver>();
  StreamInfo info_;
  bool closed_ = false;
};

class ArtifactWriterImpl::PagesWriter final : public Base {
 public:
  PagesWriter(ArtifactWriterImpl& artifact, const std::string& name, const StreamOptions& options)
      : Base(artifact, name, StreamKind::pages, options) {
    if (info_.block_bytes == 0 || info_.block_bytes > kMaxChunkBytes) {
      throw misuse(name, cat("blocks of ", info_.block_bytes, " bytes are not possible"));
    }
  }

  void write_block(std::uint64_t number, ByteView content) override {
    require_open();
    if (content.empty() || content.size() > info_.block_bytes) {
      throw misuse(info_.name, cat("block ", number, " has ", content.size(), " bytes"));
    }
    Bytes chunk = pipeline_->take_buffer();
    chunk.assign(content.begin(), content.end());
    submit(std::move(chunk), number);
  }

  StreamInfo close() override {
    require_open();
    return finish([this](std::vector<ChunkRef>& chunks) {
      if (const auto hole = chunks_->hole()) {
        throw misuse(info_.name, cat("block ", *hole, " is missing"));
      }
      for (const ChunkRef& chunk : chunks) {
        if (chunk.plain != info_.block_bytes && &chunk != &chunks.back()) {
          throw misuse(info_.name, "a block before the last one is short");
        }
        info_.bytes += chunk.plain;
      }
    });
  }
};

// lines, bson and bytes: appended, cut by content.
class ArtifactWriterImpl::CutWriter final : public Base {
 public:
  CutWriter(ArtifactWriterImpl& artifact, const std::string& name, StreamKind kind,
            const StreamOptions& options)
      : Base(artifact, name, kind, options),
        rows_(kind != StreamKind::bytes),
        cutter_(artifact.gear_, rows_ ? kRowCuts : kByteCuts) {}

  void write(ByteView content) override {
    require_open();
    info_.bytes += content.size();
    while (!content.empty()) {
      if (chunk_.size() == kMaxChunkBytes) cut_inside_row();
      ByteView piece = content.first(std::min(content.size(), kMaxChunkBytes - chunk_.size()));
      const std::size_t scanned = cutter_.scan(piece);
      if (!rows_) piece = piece.first(scanned);
      chunk_.insert(chunk_.end(), piece.begin(), piece.end());
      content = content.subspan(piece.size());
      if (!rows_ && cutter_.found()) cut();
    }
  }

  void end_row() override {
    require_open();
    if (!rows_) throw misuse(info_.name, "its kind has no rows");
    ByteView row = ByteView(chunk_).subspan(row_start_);
    if (info_.kind == StreamKind::lines) {
      if (row.empty() || row.back() != '\n') {
        throw misuse(info_.name, "a row does not end with a newline");
      }
      row = row.first(row.size() - 1);
    }
    if (split_row_) {
      split_row_->update(row);
      split_row_->finish(hash_);
      split_row_.reset();
    } else {
      hash_.add(row);
    }
    row_start_ = chunk_.size();
    if (cutter_.found()) cut();
  }

  StreamInfo close() override {
    require_open();
    if (rows_ && (split_row_ || row_start_ != chunk_.size())) {
      throw misuse(info_.name, "its last row is not complete");
    }
    if (!chunk_.empty()) cut();
    if (rows_) {
      info_.rows = hash_.rows();
      info_.hash = hash_.hex();
    }
    return finish([](std::vector<ChunkRef>&) {});
  }

 private:
  void cut() {
    Bytes next = pipeline_->take_buffer();
    next.clear();
    submit(std::exchange(chunk_, std::move(next)), slot_++);
    cutter_.restart();
    row_start_ = 0;
  }

  // Only when more is to come, so that a row that just fits is not split.
  void cut_inside_row() {
    if (rows_) {
      if (!split_row_) split_row_ = std::make_unique<RowHasher>();
      split_row_->update(ByteView(chunk_).subspan(row_start_));
    }
    cut();
  }

  const bool rows_;
  Cutter cutter_;
  Bytes chunk_;
  std::size_t row_start_ = 0;  // in chunk_
  std::unique_ptr<RowHasher> split_row_;
  RowHash hash_;
  std::uint64_t slot_ = 0;
};

ArtifactWriterImpl::ArtifactWriterImpl(ArtifactIdentity identity, const Keys& keys,
                                       const GearTable& gear,
                                       std::shared_ptr<SealPipeline> pipeline, util::Task& task,
                                       std::function<void()> on_end)
    : identity_(std::move(identity)),
      keys_(keys),
      gear_(gear),
      pipeline_(std::move(pipeline)),
      task_(task),
      on_end_(std::move(on_end)) {}

ArtifactWriterImpl::~ArtifactWriterImpl() {
  if (on_end_) on_end_();
}

std::unique_ptr<StreamWriter> ArtifactWriterImpl::open(const std::string& name, StreamKind kind,
                                                       const StreamOptions& options) {
  if (name.empty() || !util::is_valid_utf8(name)) {
    throw misuse(name, "a name is UTF-8 without NUL and not empty");
  }
  {
    const std::scoped_lock lock(streams_->mutex);
    if (streams_->spent) throw misuse(name, "opened after the commit");
    if (streams_->finished.contains(name) || !streams_->open.insert(name).second) {
      throw misuse(name, "opened twice");
    }
  }
  try {
    if (kind == StreamKind::pages) return std::make_unique<PagesWriter>(*this, name, options);
    return std::make_unique<CutWriter>(*this, name, kind, options);
  } catch (...) {
    const std::scoped_lock lock(streams_->mutex);
    streams_->open.erase(name);
    throw;
  }
}

Manifest ArtifactWriterImpl::seal(const Summary& summary, util::TimePoint now) {
  const std::scoped_lock lock(streams_->mutex);
  if (streams_->spent) throw Error(ErrorCode::internal, "an artifact was committed twice");
  if (!streams_->open.empty()) throw misuse(*streams_->open.begin(), "still open at the commit");
  streams_->spent = true;
  Manifest manifest;
  manifest.id = identity_.id;
  manifest.name = identity_.name;
  manifest.repository_id = keys_.repository_id;
  manifest.database = identity_.database;
  manifest.job = identity_.job;
  manifest.run = identity_.run;
  manifest.engine = identity_.engine;
  manifest.type = identity_.type;
  manifest.base = identity_.base;
  manifest.started = identity_.started;
  manifest.origin = identity_.origin;
  manifest.sealed = now;
  manifest.summary = summary;
  manifest.rows = summary.rows;
  for (const auto& [name, stream] : streams_->finished) {
    manifest.streams.push_back(stream.info);
    manifest.chunk_lists.push_back(util::to_hex(stream.chunk_list));
    manifest.source_bytes += stream.info.bytes;
  }
  manifest.root_hash = root_hash(keys_, manifest);
  return manifest;
}

std::string root_hash(const Keys& keys, const Manifest& manifest) {
  Bytes content;
  for (std::size_t i = 0; i < manifest.streams.size(); ++i) {
    const StreamInfo& stream = manifest.streams[i];
    util::append_u32(content, static_cast<std::uint32_t>(stream.name.size()));
    for (const std::string_view text : {std::string_view(stream.name),
                                        stream_kind_name(stream.kind), std::string_view("\0", 1)}) {
      content.insert(content.end(), text.begin(), text.end());
    }
    const Bytes list = util::from_hex(manifest.chunk_lists.at(i)).value_or(Bytes());
    content.insert(content.end(), list.begin(), list.end());
  }
  return util::to_hex(crypto::keyed_hash(keys.root, content));
}

}  // namespace dbbackup::repository
