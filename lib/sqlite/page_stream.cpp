#include "sqlite/page_stream.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "sqlite/page_vfs.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::sqlite {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Source: sqlite.org/fileformat2.html section 1.3; big-endian.
constexpr std::size_t kHeaderBytes = 100;
constexpr std::size_t kWriteVersionAt = 18;
constexpr std::size_t kReadVersionAt = 19;
constexpr std::size_t kChangeCounterAt = 24;
constexpr std::size_t kSchemaCookieAt = 40;
constexpr std::size_t kVersionValidForAt = 92;
constexpr std::size_t kWriterVersionAt = 96;
constexpr std::uint8_t kRollbackJournal = 1;

constexpr int kPagesPerStep = 1024;
constexpr int kRetryMilliseconds = 20;

std::uint32_t read_be32(const std::uint8_t* from) {
  return std::uint32_t{from[0]} << 24U | std::uint32_t{from[1]} << 16U |
         std::uint32_t{from[2]} << 8U | std::uint32_t{from[3]};
}

void write_be32(std::uint8_t* to, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(value >> (24U - 8U * i));
}

std::int64_t pragma(Connection& connection, std::string_view name) {
  Statement statement = connection.prepare(cat("PRAGMA ", name));
  return statement.step() ? statement.integer(0) : 0;
}

bool in_wal_mode(Connection& connection) {
  Statement statement = connection.prepare("PRAGMA journal_mode");
  return statement.step() && statement.text(0) == "wal";
}

[[noreturn]] void throw_cancelled(const Connection& source) {
  throw Error(ErrorCode::cancelled, cat("copying ", source.path(), " was cancelled"));
}

// The database file as SQLite has it open.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(Connection& connection) : path_(connection.path()) {
    sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file_);
    if (file_ == nullptr || file_->pMethods == nullptr) {
      throw Error(ErrorCode::internal, cat("SQLite has no open file for ", path_));
    }
  }

  void read(std::uint64_t offset, std::span<std::uint8_t> out) const {
    const int status = file_->pMethods->xRead(file_, out.data(), static_cast<int>(out.size()),
                                              static_cast<sqlite3_int64>(offset));
    if (status != SQLITE_OK) {
      throw Error(status == SQLITE_IOERR_SHORT_READ ? ErrorCode::source_damaged : ErrorCode::io,
                  cat("cannot read ", path_, " at byte ", offset, ": ",
                      status == SQLITE_IOERR_SHORT_READ ? "the file is shorter than its header says"
                                                        : sqlite3_errstr(status)));
    }
  }

 private:
  std::string path_;
  sqlite3_file* file_ = nullptr;
};

PageHeader parse_header(const std::uint8_t* page) {
  return {read_be32(page + kChangeCounterAt), read_be32(page + kVersionValidForAt),
          read_be32(page + kWriterVersionAt)};
}

// The virtual file behind the backup API's target connection.
class BlockFile final : public PageFile {
 public:
  BlockFile(std::uint32_t block_bytes, const BlockSink& take, const std::stop_token& stop,
            const Connection& source)
      : block_bytes_(block_bytes), take_(take), stop_(stop), source_(source) {}

  std::uint64_t size() const override { return size_; }

  void read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    const util::Bytes& block = block_at(offset, out.size());
    std::memcpy(out.data(), block.data() + offset % block_bytes_, out.size());
  }

  void write(std::uint64_t offset, util::ByteView content) override {
    const std::uint64_t number = offset / block_bytes_;
    if (number > last_) {
      pass_on_last();
      // Whole blocks without a write are holes: only the lock page at 1 GiB with 64 KiB pages.
      while (++last_ < number) take_(last_, util::Bytes(block_bytes_));
      current_.assign(block_bytes_, 0);
      if (stop_.stop_requested()) throw_cancelled(source_);
    }
    util::Bytes& block = block_at(offset, content.size());
    std::memcpy(block.data() + offset % block_bytes_, content.data(), content.size());
    size_ = std::max(size_, offset + content.size());
  }

  void truncate(std::uint64_t size) override {
    if (size < size_) throw Error(ErrorCode::internal, "SQLite's backup shrank its own copy");
    size_ = size;
  }

  // Delivers what is still here, page 1 with the source's counters.
  void finish(const std::optional<PageHeader>& header, std::uint32_t schema_cookie) {
    pass_on_last();
    if (size_ == 0) return;
    std::uint8_t* page = first_.data();
    write_be32(page + kSchemaCookieAt, schema_cookie);
    if (header) {
      write_be32(page + kChangeCounterAt, header->change_counter);
      write_be32(page + kVersionValidForAt, header->version_valid_for);
      write_be32(page + kWriterVersionAt, header->writer_version);
    }
    take_(0, {page, length_of(0)});
  }

 private:
  std::size_t length_of(std::uint64_t number) const {
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(block_bytes_, size_ - number * block_bytes_));
  }

  void pass_on_last() {
    if (last_ > 0) take_(last_, {current_.data(), length_of(last_)});
  }

  util::Bytes& block_at(std::uint64_t offset, std::size_t length) {
    const std::uint64_t number = offset / block_bytes_;
    if ((number != 0 && number != last_) || offset % block_bytes_ + length > block_bytes_) {
      throw Error(ErrorCode::internal,
                  cat("SQLite's backup touched byte ", offset, " out of order"));
    }
    if (number == 0 && first_.empty()) first_.assign(block_bytes_, 0);
    return number == 0 ? first_ : current_;
  }

  const std::uint32_t block_bytes_;
  const BlockSink& take_;
  const std::stop_token& stop_;
  const Connection& source_;
  util::Bytes first_;
  util::Bytes current_;
  std::uint64_t last_ = 0;
  std::uint64_t size_ = 0;
};

struct BackupCloser {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};
using BackupHandle = std::unique_ptr<sqlite3_backup, BackupCloser>;

BackupHandle begin_backup(Connection& source, Connection& target) {
  BackupHandle backup(sqlite3_backup_init(target.handle(), "main", source.handle(), "main"));
  if (!backup) {
    throw Error(ErrorCode::internal, cat("cannot copy ", source.path(), " into ", target.path(),
                                         ": ", sqlite3_errmsg(target.handle())));
  }
  return backup;
}

// After a failed step the reason is only in the status. Statuses of the source are told by a read
// of the source.
[[noreturn]] void throw_copy_error(Connection& source, Connection& target, int status) {
  const int primary = status & 0xff;
  const std::string what =
      cat("cannot copy ", source.path(), " into ", target.path(), ": ", sqlite3_errstr(status));
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error(ErrorCode::source_damaged, what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorCode::unavailable, what, "another process holds a lock on one of them");
    case SQLITE_FULL:
      throw Error(ErrorCode::no_space, what, "free some space, then run it again");
    case SQLITE_READONLY:
      throw Error(ErrorCode::permission_denied, what);
    default:
      throw Error(ErrorCode::io, what);
  }
}

PageCopy copy_locked_file(Connection& source, PageCopy copy, std::uint32_t block_bytes,
                          const BlockSink& take, const std::stop_token& stop) {
  const OwnedDescriptor file(source);
  util::Bytes block(block_bytes);
  for (std::uint64_t offset = 0; offset < copy.bytes; offset += block_bytes) {
    if (stop.stop_requested()) throw_cancelled(source);
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(block_bytes, copy.bytes - offset));
    file.read(offset, {block.data(), length});
    if (offset == 0) copy.header = parse_header(block.data());
    take(offset / block_bytes, {block.data(), length});
  }
  return copy;
}

// The main file's header; in WAL mode page 1 may also lie in the log, but the counters there only
// serve caches of others.
std::optional<PageHeader> stored_header(Connection& source) {
  std::uint8_t page[kHeaderBytes] = {};
  try {
    OwnedDescriptor(source).read(0, page);
  } catch (const Error&) {
    return std::nullopt;  // nothing checkpointed yet
  }
  return parse_header(page);
}

PageCopy copy_through_backup(Connection& source, PageCopy copy, std::uint32_t block_bytes,
                             const BlockSink& take, const std::stop_token& stop) {
  BlockFile file(block_bytes, take, stop, source);
  PageVfs vfs(file);
  Connection target("copy", OpenMode::create, vfs.name());
  // The copy is not a database yet, only a stream: nothing to protect, and the least memory makes
  // pages leave soonest.
  target.execute(
      "PRAGMA journal_mode=off; PRAGMA synchronous=off; PRAGMA locking_mode=exclusive; "
      "PRAGMA cache_size=16;");
  const BackupHandle backup = begin_backup(source, target);
  const int status = sqlite3_backup_step(backup.get(), -1);
  vfs.rethrow();
  if (stop.stop_requested()) throw_cancelled(source);
  if (status != SQLITE_DONE) throw_copy_error(source, target, status);
  const std::optional<PageHeader> header = stored_header(source);
  if (header) copy.header = *header;
  file.finish(header, static_cast<std::uint32_t>(pragma(source, "schema_version")));
  return copy;
}

}  // namespace

PageCopy copy_pages(Connection& source, std::uint32_t block_bytes, const BlockSink& take,
                    const std::stop_token& stop) {
  PageCopy copy;
  copy.page_size = static_cast<std::uint32_t>(pragma(source, "page_size"));
  copy.bytes = static_cast<std::uint64_t>(pragma(source, "page_count")) * copy.page_size;
  if (copy.bytes == 0) return copy;
  return in_wal_mode(source) ? copy_through_backup(source, copy, block_bytes, take, stop)
                             : copy_locked_file(source, copy, block_bytes, take, stop);
}

// Shows SQLite the stream with the journal mode set back to "rollback": a WAL database cannot be
// opened without shared memory, and there is no log beside the stream.
class PageSource::File final : public PageFile {
 public:
  File(std::uint64_t bytes, Read read) : bytes_(bytes), read_(std::move(read)) {}

  std::uint64_t size() const override { return bytes_; }

  void read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    read_(offset, out);
    for (const std::size_t at : {kWriteVersionAt, kReadVersionAt}) {
      if (offset <= at && at - offset < out.size()) out[at - offset] = kRollbackJournal;
    }
  }

  void write(std::uint64_t, util::ByteView) override { refuse(); }
  void truncate(std::uint64_t) override { refuse(); }

 private:
  [[noreturn]] static void refuse() {
    throw Error(ErrorCode::internal, "a stored database cannot be written to");
  }
  const std::uint64_t bytes_;
  const Read read_;
};

PageSource::PageSource(std::string label, std::uint64_t bytes, Read read)
    : label_(std::move(label)),
      file_(std::make_unique<File>(bytes, std::move(read))),
      vfs_(std::make_unique<PageVfs>(*file_)) {}

PageSource::~PageSource() = default;

Connection PageSource::open() { return {label_, OpenMode::read_only, vfs_->name()}; }

void PageSource::rethrow() { vfs_->rethrow(); }

void copy_pages_into(Connection& source, Connection& target, util::Milliseconds patience,
                     const std::function<void(std::uint64_t bytes)>& copied,
                     const std::stop_token& stop) {
  const std::int64_t page_size = pragma(source, "page_size");
  if (in_wal_mode(target) && pragma(target, "page_size") != page_size) {
    throw Error(
        ErrorCode::unsupported,
        cat("cannot replace ", target.path(), " while it is in use in WAL mode: its pages have ",
            pragma(target, "page_size"), " bytes, those of the copy ", page_size),
        "stop the programs that use it, or restore into another file");
  }
  const BackupHandle backup = begin_backup(source, target);
  util::Milliseconds waited{0};
  while (true) {
    const int status = sqlite3_backup_step(backup.get(), kPagesPerStep);
    if (status == SQLITE_DONE) return;
    if (stop.stop_requested()) throw_cancelled(source);
    const bool busy = (status & 0xff) == SQLITE_BUSY || (status & 0xff) == SQLITE_LOCKED;
    if (status != SQLITE_OK && (!busy || waited >= patience)) {
      throw_copy_error(source, target, status);
    }
    if (busy) {
      sqlite3_sleep(kRetryMilliseconds);
      waited += util::Milliseconds(kRetryMilliseconds);
      continue;
    }
    const auto done =
        sqlite3_backup_pagecount(backup.get()) - sqlite3_backup_remaining(backup.get());
    copied(static_cast<std::uint64_t>(done) * static_cast<std::uint64_t>(page_size));
  }
}

}  // namespace dbbackup::sqlite
