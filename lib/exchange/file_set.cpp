#include "exchange/file_set.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::exchange {

namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
// Where an export grows, beside its target: one rename away from its name, gone when it comes to
// nothing.
class Draft {
 public:
  explicit Draft(const fs::path& to) : to_(to), folder_(to.parent_path(), ".tmp-export") {}
  fs::path path() const { return folder_.path() / "draft"; }
  const fs::path& target() const { return to_; }

  // Gives the finished draft its name; never over an existing one.
  void publish() {
    if (::renameat2(AT_FDCWD, path().c_str(), AT_FDCWD, to_.c_str(), RENAME_NOREPLACE) != 0) {
      // NFS does not know the flag. Source: rename(2) "EINVAL".
      const bool unknown_flag = errno == EINVAL && !fs::exists(fs::symlink_status(to_));
      if (!unknown_flag || ::rename(path().c_str(), to_.c_str()) != 0) {
        throw util::system_error(cat("cannot create ", to_.string()), errno);
      }
    }
    util::fsync_folder(to_.parent_path());
  }

 private:
  fs::path to_;
  util::TemporaryFolder folder_;
};

class OutputFile {
 public:
  explicit OutputFile(const fs::path& path)
      : path_(path.string()),
        fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    if (!fd_.valid()) throw util::system_error(cat("cannot create ", path_), errno);
  }
  void write(std::string_view content) {
    buffer_ += content;
    if (buffer_.size() >= kBuffered) flush();
  }
  void close() {
    flush();
    if (::fsync(fd_.get()) != 0) throw util::system_error(cat("cannot sync ", path_), errno);
    fd_.reset();
  }

 private:
  static constexpr std::size_t kBuffered = 1U << 18U;
  void flush() {
    util::write_all(fd_.get(), util::as_bytes(buffer_), path_);
    buffer_.clear();
  }
  std::string path_;
  util::UniqueFd fd_;
  std::string buffer_;
};

class FolderFiles final : public FileSet {
 public:
  explicit FolderFiles(const fs::path& to) : draft_(to) {
    util::create_private_folder(draft_.path());
  }
  void begin(const std::string& name) override {
    const fs::path path = draft_.path() / name;
    util::create_private_folder(path.parent_path());
    file_ = std::make_unique<OutputFile>(path);
  }
  void write(std::string_view content) override { file_->write(content); }
  void end() override {
    file_->close();
    file_.reset();
  }
  void finish() override {
    for (const auto& entry : fs::recursive_directory_iterator(draft_.path())) {
      if (entry.is_directory()) util::fsync_folder(entry.path());
    }
    util::fsync_folder(draft_.path());
    draft_.publish();
  }

 private:
  Draft draft_;
  std::unique_ptr<OutputFile> file_;
};

class SingleFile final : public FileSet {
 public:
  explicit SingleFile(const fs::path& to) : draft_(to), file_(draft_.path()) {}
  void begin(const std::string&) override {}
  void write(std::string_view content) override { file_.write(content); }
  void end() override {}
  void finish() override {
    file_.close();
    draft_.publish();
  }

 private:
  Draft draft_;
  OutputFile file_;
};

class ArchiveFiles final : public FileSet {
 public:
  ArchiveFiles(const fs::path& to, const FileSizes& sizes)
      : draft_(to), sizes_(sizes), archive_(::archive_write_new()) {
    if (!archive_) throw Error(ErrorCode::internal, "cannot create an archive writer");
    if (to.extension() == ".zip") {
      check(::archive_write_set_format_zip(archive_.get()));
    } else {
      check(::archive_write_set_format_pax_restricted(archive_.get()));
      check(::archive_write_add_filter_zstd(archive_.get()));
    }
    check(::archive_write_open_filename(archive_.get(), draft_.path().c_str()));
    fs::permissions(draft_.path(), fs::perms::owner_read | fs::perms::owner_write);
  }
  void begin(const std::string& name) override {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(::archive_entry_new(),
                                                                         ::archive_entry_free);
    ::archive_entry_set_pathname_utf8(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    ::archive_entry_set_perm(entry.get(), 0600);
    if (const auto size = sizes_.find(name); size != sizes_.end()) {
      ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size->second));
    }
    check(::archive_write_header(archive_.get(), entry.get()));
  }
  void write(std::string_view content) override {
    if (::archive_write_data(archive_.get(), content.data(), content.size()) !=
        static_cast<la_ssize_t>(content.size())) {
      fail();
    }
  }
  void end() override { check(::archive_write_finish_entry(archive_.get())); }
  void finish() override {
    check(::archive_write_close(archive_.get()));
    const util::UniqueFd fd(::open(draft_.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid() || ::fsync(fd.get()) != 0) {
      throw util::system_error(cat("cannot sync ", draft_.target().string()), errno);
    }
    draft_.publish();
  }

 private:
  void check(int status) const {
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail();
  }
  [[noreturn]] void fail() const {
    const int number = ::archive_errno(archive_.get());
    const std::string what = cat("cannot write ", draft_.target().string());
    if (number > 0) throw util::system_error(what, number);
    const char* text = ::archive_error_string(archive_.get());
    throw Error(ErrorCode::io, cat(what, ": ", text ? text : "unknown"));
  }

  struct Free {
    void operator()(archive* writer) const { ::archive_write_free(writer); }
  };
  Draft draft_;
  FileSizes sizes_;
  std::unique_ptr<archive, Free> archive_;
};
}  // namespace

bool needs_sizes(const fs::path& to) { return to.string().ends_with(".tar.zst"); }

std::unique_ptr<FileSet> open_file_set(const fs::path& to, const FileSizes& sizes) {
  if (to.extension() == ".zip" || needs_sizes(to)) return std::make_unique<ArchiveFiles>(to, sizes);
  return std::make_unique<FolderFiles>(to);
}

std::unique_ptr<FileSet> open_single_file(const fs::path& to) {
  return std::make_unique<SingleFile>(to);
}

std::string file_name_of(std::string_view table) {
  std::string name;
  for (const char c : table) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && !name.empty());
    if (plain) {
      name.push_back(c);
    } else {
      char escaped[4];
      std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
      name += escaped;
    }
  }
  return name;
}

}  // namespace dbbackup::exchange
