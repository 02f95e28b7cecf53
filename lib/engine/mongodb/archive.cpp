#include "engine/mongodb/archive.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>

#include "engine/mongodb/backup.hpp"
#include "engine/mongodb/collections.hpp"
#include "engine/mongodb/oplog.hpp"
#include "engine/mongodb/restore.hpp"
#include "engine/mongodb/stored_documents.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using repository::StreamKind;
using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

// Source: common/archive/archive.go.
constexpr std::uint32_t kMagic = 0x8199e26d;
constexpr std::uint32_t kTerminator = 0xffffffff;
constexpr const char* kVersion = "0.1";
constexpr std::size_t kMaxDocument = std::size_t{48} << 20U;
constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
// mongorestore sizes its buffers by blocks; its own dumps have some of this size.
constexpr std::size_t kBlockBytes = std::size_t{8} << 20U;

// CRC-64 with the polynomial of ECMA-182, reflected, as Go's hash/crc64 computes it.
class Crc64 {
 public:
  void add(ByteView bytes) {
    static const std::array<std::uint64_t, 256> table = make_table();
    for (const std::uint8_t byte : bytes) {
      state_ = table[static_cast<std::uint8_t>(state_) ^ byte] ^ (state_ >> 8U);
    }
  }
  std::int64_t value() const { return static_cast<std::int64_t>(~state_); }

 private:
  static std::array<std::uint64_t, 256> make_table() {
    constexpr std::uint64_t kPolynomial = 0xc96c5795d7870f42;
    std::array<std::uint64_t, 256> table{};
    for (std::uint64_t i = 0; i < table.size(); ++i) {
      std::uint64_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) * kPolynomial);
      table[i] = value;
    }
    return table;
  }
  std::uint64_t state_ = ~std::uint64_t{0};
};

// The target grows under its name with an ending of its own, and gets the name when it is whole.
class ArchiveFile {
 public:
  explicit ArchiveFile(const std::string& path) : path_(path), growing_(path + ".part") {
    fd_ = util::UniqueFd(
        ::open(growing_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!fd_.valid()) throw util::system_error(cat("cannot create ", growing_), errno);
  }
  ~ArchiveFile() {
    if (fd_.valid()) ::unlink(growing_.c_str());
  }
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;

  void write(ByteView bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    if (buffer_.size() >= kBufferBytes) flush();
  }
  void number(std::uint32_t value) {
    Bytes bytes;
    util::append_u32(bytes, value);
    write(bytes);
  }
  void finish() {
    flush();
    if (::fsync(fd_.get()) != 0) throw util::system_error(cat("cannot write ", growing_), errno);
    // link() instead of rename(): it never replaces a file that came to be meanwhile.
    if (::link(growing_.c_str(), path_.c_str()) != 0) {
      throw util::system_error(cat("cannot create ", path_), errno);
    }
    ::unlink(growing_.c_str());
    fd_.reset();
  }

 private:
  void flush() {
    util::write_all(fd_.get(), buffer_, growing_);
    buffer_.clear();
  }
  const std::string path_;
  const std::string growing_;
  util::UniqueFd fd_;
  Bytes buffer_;
};

std::string metadata_json(const Collection& collection) {
  return canonical_json(Document()
                            .document("options", collection.options)
                            .array("indexes", collection.indexes)
                            .text("collectionName", collection.name)
                            .text("type", collection.type)
                            .view());
}

void write_blocks(ArchiveFile& file, const std::string& database, const std::string& collection,
                  repository::ArtifactReader& reader, const std::string& stream, util::Task& task) {
  const auto header = [&](bool end, std::int64_t crc) {
    file.write(Document()
                   .text("db", database)
                   .text("collection", collection)
                   .boolean("EOF", end)
                   .int64("CRC", crc)
                   .view());
  };
  Crc64 crc;
  std::size_t block = 0;
  const auto take = [&](ByteView document) {
    if (block == 0) header(false, 0);
    file.write(document);
    crc.add(document);
    block += document.size();
    ++task.progress().rows;
    if (block < kBlockBytes) return;
    file.number(kTerminator);
    block = 0;
  };
  each_stored_document(reader, stream, 2, task, take);
  if (block > 0) file.number(kTerminator);
  header(true, crc.value());
  file.number(kTerminator);
}

// Reads the file front to back.
class ArchiveSource {
 public:
  explicit ArchiveSource(const std::string& path) : path_(path), in_(path, std::ios::binary) {
    if (!in_) throw util::system_error(cat("cannot open ", path), errno);
    if (number() != kMagic) damaged("it does not begin as one");
  }

  // Nothing at the terminator.
  const Bytes* document() {
    const std::uint32_t size = number();
    if (size == kTerminator) return nullptr;
    if (size < 5 || size > kMaxDocument) damaged("a document has an impossible size");
    document_.clear();
    util::append_u32(document_, size);
    document_.resize(size);
    if (!in_.read(reinterpret_cast<char*>(document_.data()) + 4,
                  static_cast<std::streamsize>(size - 4))) {
      damaged("it is cut off");
    }
    return &document_;
  }
  bool at_end() { return in_.peek() == std::ifstream::traits_type::eof(); }
  [[noreturn]] void damaged(std::string_view what) const {
    throw Error(ErrorCode::source_damaged, cat(path_, " is not a usable mongodump archive: ", what),
                "archives come from mongodump --archive=FILE, without --gzip");
  }

 private:
  std::uint32_t number() {
    std::array<std::uint8_t, 4> bytes{};
    if (!in_.read(reinterpret_cast<char*>(bytes.data()), bytes.size())) damaged("it is cut off");
    return util::read_u32(bytes);
  }
  const std::string path_;
  std::ifstream in_;
  Bytes document_;
};

Collection from_metadata(ByteView metadata) {
  Collection collection;
  collection.name = find_text(metadata, "collection");
  if (const std::string type = find_text(metadata, "type"); !type.empty()) collection.type = type;
  const std::string json = find_text(metadata, "metadata");
  if (json.empty()) return collection;
  const Document parsed =
      parse_json(json, cat("the metadata of ", util::printable(collection.name)));
  if (const auto options = find(parsed.view(), "options"); options && options->document()) {
    collection.options = Document(*options->document());
  }
  if (const auto indexes = find(parsed.view(), "indexes"); indexes && indexes->document()) {
    Walker walker(*indexes->document());
    while (const auto index = walker.next()) {
      if (index->document())
        collection.indexes.push_back(Document().all_but(*index->document(), {"ns"}));
    }
  }
  return collection;
}

class Import {
 public:
  Import(const std::string& path, repository::ArtifactWriter& writer, util::Task& task)
      : source_(path), writer_(writer), task_(task) {}

  repository::Summary run() {
    read_prelude();
    while (!source_.at_end()) read_block();
    if (!open_.empty()) source_.damaged("a collection has no end");
    // A collection without documents may have no block at all.
    for (const Collection& one : collections_) {
      if (!one.is_view() && !proofs_.contains(one.name)) finish(one.name, stream_of(one.name));
    }
    write_schema();
    for (const auto& [name, hash] : proofs_) {
      summary_.proof.push_back({name, hash});
      summary_.rows += hash.rows();
    }
    summary_.consistency_kind = oplog_ ? "oplog" : "none";
    summary_.warnings.push_back(
        "imported from a mongodump archive: whether it shows one point in time, only its maker "
        "knows");
    summary_.engine_data = {{"database", database_}, {"oplog", oplog_}};
    return std::move(summary_);
  }

 private:
  struct Stream {
    std::unique_ptr<repository::StreamWriter> writer;
    Crc64 crc;
  };

  void read_prelude() {
    const Bytes* header = source_.document();
    if (header == nullptr) source_.damaged("it has no header");
    if (const std::string version = find_text(*header, "version"); version != kVersion) {
      throw Error(ErrorCode::unsupported,
                  cat("the archive has format version ", util::printable(version)));
    }
    summary_.server_version = find_text(*header, "server_version");
    while (const Bytes* metadata = source_.document()) {
      const std::string database = find_text(*metadata, "db");
      if (database.empty()) continue;  // the oplog
      if (database == "admin" || database == "config") {
        throw Error(ErrorCode::unsupported, "the archive holds more than one database",
                    "dump one database with mongodump --db=NAME --archive=FILE");
      }
      if (!database_.empty() && database != database_) {
        throw Error(ErrorCode::unsupported,
                    cat("the archive holds the databases ", util::printable(database_), " and ",
                        util::printable(database)),
                    "dump one database with mongodump --db=NAME --archive=FILE");
      }
      database_ = database;
      collections_.push_back(from_metadata(*metadata));
    }
    if (database_.empty()) source_.damaged("it holds no collection");
  }

  static std::string plain_name(std::string collection) {
    constexpr std::string_view kBuckets = "system.buckets.";
    return collection.starts_with(kBuckets) ? collection.substr(kBuckets.size()) : collection;
  }

  Stream stream_of(const std::string& name) {
    return {writer_.open(name.empty() ? kOplogStream : data_stream(name), StreamKind::bson, {}),
            {}};
  }

  // `name` is empty for the oplog.
  void finish(const std::string& name, Stream stream) {
    const repository::StreamInfo info = stream.writer->close();
    const auto hash = repository::RowHash::from_hex(info.hash, info.rows);
    if (!hash) throw Error(ErrorCode::internal, cat("stream ", info.name, " has no row hash"));
    if (name.empty()) {
      oplog_ = true;
    } else {
      proofs_[name] = *hash;
    }
  }

  void read_block() {
    const Bytes* header = source_.document();
    if (header == nullptr) source_.damaged("a block has no header");
    task_.check();
    const bool oplog = find_text(*header, "db").empty();
    const std::string name = oplog ? std::string() : plain_name(find_text(*header, "collection"));
    const bool end = find_truth(*header, "EOF");
    const std::int64_t crc = find_integer(*header, "CRC").value_or(0);
    auto found = open_.find(name);
    if (found == open_.end()) found = open_.emplace(name, stream_of(name)).first;
    Stream& stream = found->second;
    if (!end) {
      while (const Bytes* document = source_.document()) {
        stream.writer->write(*document);
        stream.writer->end_row();
        stream.crc.add(*document);
        ++task_.progress().rows;
        task_.progress().bytes += document->size();
      }
      return;
    }
    if (source_.document() != nullptr) source_.damaged("an end is followed by documents");
    if (crc != stream.crc.value()) {
      throw Error(
          ErrorCode::verification_failed,
          cat("the check sum of collection ", util::printable(name), " in the archive is wrong"),
          "the file is damaged; dump again");
    }
    finish(name, std::move(stream));
    open_.erase(name);
  }

  void write_schema() {
    const auto writer = writer_.open(kSchemaStream, StreamKind::bson, {});
    std::sort(
        collections_.begin(), collections_.end(),
        [](const Collection& left, const Collection& right) { return left.name < right.name; });
    for (const Collection& one : collections_) {
      writer->write(to_document(one).view());
      writer->end_row();
    }
    writer->close();
  }

  ArchiveSource source_;
  repository::ArtifactWriter& writer_;
  util::Task& task_;
  repository::Summary summary_;
  std::string database_;
  std::vector<Collection> collections_;
  std::map<std::string, Stream> open_;
  std::map<std::string, repository::RowHash> proofs_;
  bool oplog_ = false;
};
}  // namespace

bool is_mongodump_archive(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<std::uint8_t, 4> bytes{};
  return in.read(reinterpret_cast<char*>(bytes.data()), bytes.size()) &&
         util::read_u32(bytes) == kMagic;
}

void write_mongodump_archive(const std::string& path, repository::ArtifactReader& reader,
                             util::Task& task) {
  const auto collections = stored_collections(reader, {}, task);
  const std::string database =
      util::json::get_string(reader.summary().engine_data, "database").value_or("");
  ArchiveFile file(path);
  file.number(kMagic);
  file.write(Document()
                 .int32("concurrent_collections", 1)
                 .text("version", kVersion)
                 .text("server_version", reader.summary().server_version)
                 .text("tool_version", "dbbackup")
                 .view());
  for (const Collection& one : collections) {
    file.write(Document()
                   .text("db", database)
                   .text("collection", one.name)
                   .text("metadata", metadata_json(one))
                   .int32("size", 0)
                   .text("type", one.type)
                   .view());
  }
  file.number(kTerminator);
  for (const Collection& one : collections) {
    if (one.is_view()) continue;
    write_blocks(file, database, one.storage_name(), reader, data_stream(one.name), task);
  }
  for (const repository::StreamInfo& stream : reader.streams()) {
    if (stream.name == kOplogStream) write_blocks(file, "", "oplog", reader, kOplogStream, task);
  }
  file.finish();
}

repository::Summary read_mongodump_archive(const std::string& path,
                                           repository::ArtifactWriter& writer, util::Task& task) {
  return Import(path, writer, task).run();
}

}  // namespace dbbackup::engine::mongodb
