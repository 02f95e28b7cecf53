// A database file for SQLite that is not a file: reads and writes go to an object of ours. The
// internal base of page_stream.hpp.
//
// Each PageVfs registers a VFS of its own under a unique name and takes it away again, so nothing
// global stays behind. The VFS knows exactly one file, no journals (connections use
// journal_mode=off or only read), and no locks (nobody else can see it).
//
// Threads: several connections on several threads may use one PageVfs when the PageFile's members
// allow it. Errors: exceptions never cross SQLite. They are kept, SQLite gets an I/O error, and
// rethrow() brings the first one back.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "util/bytes.hpp"

struct sqlite3_vfs;

namespace dbbackup::sqlite {

class PageFile {
 public:
  virtual ~PageFile() = default;
  virtual std::uint64_t size() const = 0;
  // Requires: the range lies within size().
  virtual void read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  virtual void write(std::uint64_t offset, util::ByteView content) = 0;
  virtual void truncate(std::uint64_t size) = 0;
};

class PageVfs {
 public:
  // Requires: file outlives the object, and the object every connection opened with its name.
  explicit PageVfs(PageFile& file);
  ~PageVfs();
  PageVfs(const PageVfs&) = delete;
  PageVfs& operator=(const PageVfs&) = delete;

  const std::string& name() const { return name_; }
  PageFile& file() { return file_; }
  // To be called by the C callbacks inside a catch block.
  void keep_current_exception() noexcept;
  // Throws what a member of the PageFile threw, when one did.
  void rethrow();

 private:
  PageFile& file_;
  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace dbbackup::sqlite
