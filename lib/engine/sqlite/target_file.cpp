#include "engine/sqlite/target_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "sqlite/sqlite.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr util::Milliseconds kLockPatience{200};

std::optional<struct stat> stat_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

bool same_file(const struct stat& left, const struct stat& right) {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// False as soon as one descriptor table cannot be read: what is not seen may be there.
bool no_process_has_open(const struct stat& file) {
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    if (!util::parse_int(process.path().filename().string())) continue;
    const std::string folder = process.path().string() + "/fd";
    std::error_code fd_error;
    for (auto it = fs::directory_iterator(folder, fd_error);
         !fd_error && it != fs::directory_iterator(); it.increment(fd_error)) {
      const auto status = stat_of(it->path().string());
      if (status && same_file(*status, file)) return false;
    }
    // A process that ended meanwhile has nothing open.
    if (fd_error && fs::exists(process.path())) return false;
  }
  return !error;
}

// Also finishes what the last user left: closing the only connection merges and removes the -wal.
bool exclusive_lock_possible(const std::string& path) {
  try {
    sqlite::Connection connection(path, sqlite::OpenMode::read_write);
    connection.set_busy_timeout(kLockPatience);
    connection.execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK");
    return true;
  } catch (const Error& error) {
    // A file that is no database cannot be in use as one.
    return error.code() == ErrorCode::source_damaged;
  }
}

void remove_if_there(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw util::system_error(cat("cannot remove ", path), errno);
  }
}
}  // namespace

void refuse_protected(const std::string& path, const std::vector<std::string>& protected_files) {
  const auto target = stat_of(path);
  if (!target) return;
  for (const std::string& name : protected_files) {
    const auto status = stat_of(name);
    if (!status || !same_file(*status, *target)) continue;
    throw Error(ErrorCode::refused,
                cat("refusing to restore into ", path, ": it is the control database ", name),
                "choose another file as target");
  }
}

bool provably_not_open(const std::string& path) {
  const auto file = stat_of(path);
  if (!file) return true;
  // First without a connection of our own, which would be seen; then once more, for those who came
  // while we held the lock.
  return no_process_has_open(*file) && exclusive_lock_possible(path) && no_process_has_open(*file);
}

StagedFile::StagedFile(const std::string& target) : target_(target) {
  path_ = target + ".dbbackup-XXXXXX";
  fd_ = util::UniqueFd(::mkostemp(path_.data(), O_CLOEXEC));
  if (!fd_.valid()) {
    throw util::system_error(cat("cannot create a file beside ", target), errno);
  }
  const auto old = stat_of(target);
  if (!old) return;
  // Only root can give files away; for others the new file stays theirs.
  if (::fchown(fd_.get(), old->st_uid, old->st_gid) != 0 && errno != EPERM) {
    throw util::system_error(cat("cannot set the owner of ", path_), errno);
  }
  if (::fchmod(fd_.get(), old->st_mode & 07777) != 0) {
    throw util::system_error(cat("cannot set the mode of ", path_), errno);
  }
}

StagedFile::~StagedFile() {
  if (published_) return;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((path_ + suffix).c_str());
}

void StagedFile::sync() {
  if (!fd_.valid()) {
    fd_ = util::UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd_.valid()) throw util::system_error(cat("cannot open ", path_), errno);
  }
  if (::fsync(fd_.get()) != 0) throw util::system_error(cat("cannot write ", path_), errno);
}

void StagedFile::publish() {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) remove_if_there(target_ + suffix);
  util::kill_point("restore.before_rename");
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    throw util::system_error(cat("cannot rename ", path_, " to ", target_), errno);
  }
  published_ = true;
  util::fsync_folder(fs::path(target_).parent_path());
}

}  // namespace dbbackup::engine::sqlite_engine
