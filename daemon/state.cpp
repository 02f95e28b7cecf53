#include "daemon/state.hpp"

#include <sys/stat.h>

#include <cerrno>

#include "crypto/cipher.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;

crypto::Secret read_daemon_key(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & 077U) != 0) {
    throw Error(
        ErrorCode::config_invalid, cat(file.string(), " may be read by others"),
        cat("chmod 600 ", file.string(), "; if it may have been read, make new repositories"));
  }
  const std::optional<util::Bytes> text = util::read_file(file, 4096);
  const std::optional<util::Bytes> key =
      text ? util::from_hex(util::trim(util::as_text(*text))) : std::nullopt;
  if (!key || key->size() != crypto::kKeyBytes) {
    throw Error(ErrorCode::config_invalid, cat(file.string(), " does not hold a daemon key"),
                "restore it from a copy; without it only recovery keys open the repositories");
  }
  return crypto::Secret(*key);
}

StateFolder::StateFolder(const fs::path& folder) : path_(folder) {
  util::create_private_folder(path_);
  auto lock = util::try_lock_file(path_ / "lock");
  if (!lock) {
    throw Error(ErrorCode::conflict, cat("another dbbackupd is running in ", path_.string()),
                "stop it first, or give this one a folder of its own with --state-dir");
  }
  lock_ = std::move(*lock);

  const fs::path key_file = path_ / "daemon.key";
  if (!fs::exists(key_file)) {
    if (fs::exists(control_database())) {
      throw Error(
          ErrorCode::config_invalid,
          cat(key_file.string(), " is missing, but there is a control database"),
          "restore the key from a copy; without it no stored password and no repository opens");
    }
    const crypto::Secret key = crypto::random_key();
    std::string text = util::to_hex(key.reveal()) + "\n";
    util::create_file_atomically(key_file, util::as_bytes(text));
    crypto::wipe(text.data(), text.size());
  }
  daemon_key_ = read_daemon_key(key_file);
  util::create_private_folder(index_folder());
}

std::string StateFolder::lock_identity() const {
  struct stat status {};
  if (::fstat(lock_.get(), &status) != 0) throw util::system_error("fstat of the lock", errno);
  return cat("lock ", status.st_dev, ":", status.st_ino);
}

}  // namespace dbbackup::daemon
