// Where an export's files go: a folder, a zip or a tar.zst, or nowhere (only their sizes are
// counted).
//
// Files are written one after the other, each in pieces of any size. The target appears under its
// name only with finish(); before that everything is in a temporary folder beside it, which goes
// away with the object. The folder that the target is in must exist.
//
// Threads: one thread. Errors: io, no_space, permission_denied.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "util/bytes.hpp"

namespace dbbackup::exchange {

using FileSizes = std::map<std::string, std::uint64_t>;

class FileSet {
 public:
  virtual ~FileSet() = default;
  virtual void begin(const std::string& name) = 0;
  virtual void write(std::string_view content) = 0;
  virtual void end() = 0;
  virtual void finish() = 0;
};

// A tar archive must name each file's size before its content: such a target is written in two
// passes, the first of which only counts. That costs reading the artifact twice and saves a
// temporary copy of the database on disk.
bool needs_sizes(const std::filesystem::path& to);

class CountingFiles final : public FileSet {
 public:
  void begin(const std::string& name) override { current_ = name; }
  void write(std::string_view content) override { sizes_[current_] += content.size(); }
  void end() override { sizes_.try_emplace(current_, 0); }
  void finish() override {}
  const FileSizes& sizes() const { return sizes_; }

 private:
  std::string current_;
  FileSizes sizes_;
};

// By the ending of `to`: .zip, .tar.zst, or a folder.
std::unique_ptr<FileSet> open_file_set(const std::filesystem::path& to, const FileSizes& sizes);
// All begin() calls go into this one file; for a plain .sql target.
std::unique_ptr<FileSet> open_single_file(const std::filesystem::path& to);

// `table` as a file name: letters, digits and -_. stay, everything else becomes %XX.
std::string file_name_of(std::string_view table);

}  // namespace dbbackup::exchange
