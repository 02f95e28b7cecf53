// The daemon's own folder: locked by one daemon at a time, with the key that everything stored is
// encrypted under.
//
//   STATE/lock         flock of the running daemon
//   STATE/daemon.key   32 random bytes as hex; made at the first start, never again
//   STATE/control.db   the catalog
//   STATE/index/       one chunk index per repository; a cache
//   STATE/repository/  the repository `default`
//   STATE/scratch/     drills; emptied at each start
#pragma once

#include <filesystem>
#include <string>

#include "crypto/secret.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::daemon {

class StateFolder {
 public:
  // Creates what is missing. Errors: conflict when another daemon runs here; config_invalid when
  // the key is missing although there is a control database, is not a key, or may be read by
  // others.
  explicit StateFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path control_database() const { return path_ / "control.db"; }
  std::filesystem::path index_folder() const { return path_ / "index"; }
  std::filesystem::path default_repository() const { return path_ / "repository"; }
  const crypto::Secret& daemon_key() const { return daemon_key_; }
  // Which lock is held: whoever held the same one before is dead, because the kernel gave it to us.
  // A lock file that was deleted and made anew is another one.
  std::string lock_identity() const;

 private:
  std::filesystem::path path_;
  util::UniqueFd lock_;
  crypto::Secret daemon_key_;
};

// The key file's content as a key. Errors: config_invalid.
crypto::Secret read_daemon_key(const std::filesystem::path& file);

}  // namespace dbbackup::daemon
