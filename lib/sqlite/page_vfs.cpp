#include "sqlite/page_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::sqlite {

namespace {

// What SQLite allocates for an open file: its own part first.
struct OpenFile {
  sqlite3_file base;
  PageVfs* vfs;
};

PageVfs& vfs_of(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file)->vfs; }

// Runs `work` with the vfs; anything thrown is kept and becomes `failure` for SQLite.
template <typename Work>
int guarded(sqlite3_file* file, int failure, Work&& work) noexcept {
  PageVfs& vfs = vfs_of(file);
  try {
    return work(vfs.file());
  } catch (...) {
    vfs.keep_current_exception();
    return failure;
  }
}

int close_file(sqlite3_file*) { return SQLITE_OK; }

int read_file(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
  return guarded(file, SQLITE_IOERR_READ, [&](PageFile& pages) {
    const auto start = static_cast<std::uint64_t>(offset);
    const auto wanted = static_cast<std::size_t>(amount);
    const std::uint64_t size = pages.size();
    const std::size_t there =
        start >= size ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(wanted, size - start));
    auto* out = static_cast<std::uint8_t*>(buffer);
    if (there > 0) pages.read(start, {out, there});
    if (there == wanted) return SQLITE_OK;
    std::memset(out + there, 0, wanted - there);  // SQLite demands zeros behind the end
    return SQLITE_IOERR_SHORT_READ;
  });
}

int write_file(sqlite3_file* file, const void* content, int amount, sqlite3_int64 offset) {
  return guarded(file, SQLITE_IOERR_WRITE, [&](PageFile& pages) {
    pages.write(static_cast<std::uint64_t>(offset),
                {static_cast<const std::uint8_t*>(content), static_cast<std::size_t>(amount)});
    return SQLITE_OK;
  });
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return guarded(file, SQLITE_IOERR_TRUNCATE, [&](PageFile& pages) {
    pages.truncate(static_cast<std::uint64_t>(size));
    return SQLITE_OK;
  });
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return guarded(file, SQLITE_IOERR_FSTAT, [&](PageFile& pages) {
    *size = static_cast<sqlite3_int64>(pages.size());
    return SQLITE_OK;
  });
}

int sync_file(sqlite3_file*, int) { return SQLITE_OK; }
int lock_file(sqlite3_file*, int) { return SQLITE_OK; }
int check_reserved(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}
int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return 0; }

// Version 1: no shared memory, hence no WAL, and no memory mapping.
constexpr sqlite3_io_methods kMethods = [] {
  sqlite3_io_methods methods{};
  methods.iVersion = 1;
  methods.xClose = close_file;
  methods.xRead = read_file;
  methods.xWrite = write_file;
  methods.xTruncate = truncate_file;
  methods.xSync = sync_file;
  methods.xFileSize = file_size;
  methods.xLock = lock_file;
  methods.xUnlock = lock_file;
  methods.xCheckReservedLock = check_reserved;
  methods.xFileControl = file_control;
  methods.xSectorSize = sector_size;
  methods.xDeviceCharacteristics = characteristics;
  return methods;
}();

sqlite3_vfs* system_vfs() { return sqlite3_vfs_find(nullptr); }

int open_file(sqlite3_vfs* vfs, const char*, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
  auto* opened = reinterpret_cast<OpenFile*>(file);
  opened->vfs = static_cast<PageVfs*>(vfs->pAppData);
  opened->base.pMethods = &kMethods;
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char*, int) { return SQLITE_OK; }

// No journal, no -wal: nothing else exists beside the one file.
int access_file(sqlite3_vfs*, const char*, int, int* result) {
  *result = 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* out) {
  return system_vfs()->xRandomness(system_vfs(), size, out);
}
int sleep_for(sqlite3_vfs*, int microseconds) {
  return system_vfs()->xSleep(system_vfs(), microseconds);
}
int current_time(sqlite3_vfs*, double* time) {
  return system_vfs()->xCurrentTime(system_vfs(), time);
}
int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

PageVfs::PageVfs(PageFile& file)
    : file_(file),
      name_(util::cat("dbbackup-pages-", reinterpret_cast<std::uintptr_t>(this))),
      vfs_(std::make_unique<sqlite3_vfs>()) {
  vfs_->iVersion = 1;
  vfs_->szOsFile = sizeof(OpenFile);
  vfs_->mxPathname = system_vfs()->mxPathname;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->xOpen = open_file;
  vfs_->xDelete = delete_file;
  vfs_->xAccess = access_file;
  vfs_->xFullPathname = full_path;
  vfs_->xRandomness = randomness;
  vfs_->xSleep = sleep_for;
  vfs_->xCurrentTime = current_time;
  vfs_->xGetLastError = last_error;
  if (sqlite3_vfs_register(vfs_.get(), 0) != SQLITE_OK) {
    throw util::Error(util::ErrorCode::internal, "cannot register a virtual file with SQLite");
  }
}

PageVfs::~PageVfs() { sqlite3_vfs_unregister(vfs_.get()); }

void PageVfs::keep_current_exception() noexcept {
  const std::scoped_lock lock(mutex_);
  if (!failure_) failure_ = std::current_exception();
}

void PageVfs::rethrow() {
  const std::scoped_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace dbbackup::sqlite
