#include "catalog/private_copy.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::catalog {

namespace fs = std::filesystem;
using util::cat;
using util::system_error;

namespace {
constexpr mode_t kPrivate = S_IRUSR | S_IWUSR;
}

void make_private_file(const fs::path& file) {
  // An existing file is changed by its name, never opened: closing any descriptor of it would drop
  // the locks that this process holds on it through SQLite. (Source: fcntl(2), "Record locking".)
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0) {
    if ((status.st_mode & 07777) != kPrivate && ::chmod(file.c_str(), kPrivate) != 0) {
      throw system_error(cat("cannot make ", file.string(), " private"), errno);
    }
    return;
  }
  const util::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kPrivate));
  if (!fd.valid()) throw system_error(cat("cannot create ", file.string()), errno);
  if (::fchmod(fd.get(), kPrivate) != 0) {
    throw system_error(cat("cannot make ", file.string(), " private"), errno);
  }
}

namespace {
void sync_file(const fs::path& file) {
  const util::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) throw system_error(cat("cannot open ", file.string()), errno);
  if (::fsync(fd.get()) != 0) throw system_error(cat("cannot sync ", file.string()), errno);
}
}  // namespace

void write_private_copy(sqlite::Connection& db, const fs::path& target) {
  const fs::path part = target.string() + ".part";
  if (::unlink(part.c_str()) != 0 && errno != ENOENT) {
    throw system_error(cat("cannot remove ", part.string()), errno);
  }
  try {
    // SQLite fills an empty file and keeps its mode. (Source: sqlite.org/lang_vacuum.html, "VACUUM
    // INTO".)
    make_private_file(part);
    db.execute(cat("VACUUM INTO ", sqlite::quote_text(part.string())));
    sync_file(part);
    if (::rename(part.c_str(), target.c_str()) != 0) {
      throw system_error(cat("cannot rename to ", target.string()), errno);
    }
  } catch (...) {
    ::unlink(part.c_str());
    throw;
  }
  util::fsync_folder(target.parent_path());
}

}  // namespace dbbackup::catalog
