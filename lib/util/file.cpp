#include "util/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::util {

namespace fs = std::filesystem;

void write_all(int fd, ByteView content, std::string_view what) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw system_error(cat("cannot write ", what), errno);
    }
    content = content.subspan(static_cast<std::size_t>(written));
  }
}

namespace {
// Writes `content` to a new temporary file beside `path`, durable, and returns its name.
fs::path write_temporary(const fs::path& path, ByteView content) {
  std::string name =
      (path.parent_path() / (".tmp-" + path.filename().string() + "-XXXXXX")).string();
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) throw system_error(cat("cannot create ", path.string()), errno);
  try {
    write_all(fd.get(), content, path.string());
    if (::fsync(fd.get()) != 0) throw system_error(cat("cannot sync ", path.string()), errno);
  } catch (...) {
    ::unlink(name.c_str());
    throw;
  }
  return name;
}
}  // namespace

void fsync_folder(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) throw system_error(cat("cannot open folder ", path.string()), errno);
  if (::fsync(fd.get()) != 0) throw system_error(cat("cannot sync folder ", path.string()), errno);
}

void write_file_atomically(const fs::path& path, ByteView content) {
  const fs::path temporary = write_temporary(path, content);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw system_error(cat("cannot rename to ", path.string()), error);
  }
  fsync_folder(path.parent_path());
}

bool create_file_atomically(const fs::path& path, ByteView content) {
  const fs::path temporary = write_temporary(path, content);
  // link() fails when the name exists, which rename() does not.
  const int status = ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  ::unlink(temporary.c_str());
  if (status != 0) {
    if (error == EEXIST) return false;
    throw system_error(cat("cannot create ", path.string()), error);
  }
  fsync_folder(path.parent_path());
  return true;
}

std::optional<Bytes> read_file(const fs::path& path, std::uint64_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error(cat("cannot open ", path.string()), errno);
  }
  Bytes content;
  std::uint8_t buffer[65536];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw system_error(cat("cannot read ", path.string()), errno);
    }
    if (got == 0) return content;
    content.insert(content.end(), buffer, buffer + got);
    if (content.size() > limit) {
      throw Error(ErrorCode::io,
                  cat("cannot read ", path.string(), ": larger than ", limit, " bytes"));
    }
  }
}

void create_private_folder(const fs::path& path) {
  if (path.empty()) return;
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return;
    throw Error(ErrorCode::io, cat(path.string(), " is not a folder"));
  }
  create_private_folder(path.parent_path());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw system_error(cat("cannot create folder ", path.string()), errno);
  }
}

std::optional<UniqueFd> try_lock_file(const fs::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) throw system_error(cat("cannot open ", path.string()), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    throw system_error(cat("cannot lock ", path.string()), errno);
  }
  return fd;
}

TemporaryFolder::TemporaryFolder(const fs::path& parent, std::string_view prefix) {
  std::string name = (parent / (std::string(prefix) + "-XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw system_error(cat("cannot create a folder in ", parent.string()), errno);
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace dbbackup::util
