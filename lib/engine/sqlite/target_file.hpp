// The file a restore writes to: whether it may be replaced by a rename, and the staged file that
// replaces it.
//
// Renaming over a database that some program has open would leave that program with a file that has
// no name. So a rename is allowed only when it is proved that nobody has the file open; in all
// other cases the content goes in through SQLite.
//
// Errors: system errors naming the path; refused for protected files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "util/unique_fd.hpp"

namespace dbbackup::engine::sqlite_engine {

// Errors: refused, when `path` is one of the files by device and inode, whatever its name.
void refuse_protected(const std::string& path, const std::vector<std::string>& protected_files);

// True when SQLite grants an exclusive lock and no process, each of which could be looked into, has
// the file open. On the way, a -wal of the old database is merged and a hot journal played back.
bool provably_not_open(const std::string& path);

// A temporary file beside its final name, removed unless published. New files get mode 0600; one
// that replaces another file takes over its mode and, where permitted, its owner.
class StagedFile {
 public:
  explicit StagedFile(const std::string& target);
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  // For SQLite to open the path itself: POSIX locks die with any descriptor of the same process
  // that is closed.
  void close_fd() { fd_.reset(); }
  void sync();
  // Renames over the target and makes that durable. Journals of the old file, which would be played
  // into the new one, go first.
  void publish();

 private:
  std::string target_;
  std::string path_;
  util::UniqueFd fd_;
  bool published_ = false;
};

}  // namespace dbbackup::engine::sqlite_engine
