// Files written so that a crash leaves either the old content or the new, and read whole.
//
// The order is the one that survives power loss on ext4, xfs and btrfs alike: write a temporary
// file in the same folder, fsync it, rename it over the name, fsync the folder.
//
// Errors: util::Error from system_error(), naming the path.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "util/bytes.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::util {

// Replaces `path` atomically and durably. Mode 0600.
void write_file_atomically(const std::filesystem::path& path, ByteView content);
// As above, but refuses (returns false) when the name already exists; never replaces.
bool create_file_atomically(const std::filesystem::path& path, ByteView content);

// Whole content; empty when there is no such file. Refuses files larger than `limit` bytes.
std::optional<Bytes> read_file(const std::filesystem::path& path,
                               std::uint64_t limit = std::uint64_t{1} << 30U);

// Creates the folder and its parents with mode 0700; fine when it exists.
void create_private_folder(const std::filesystem::path& path);

void fsync_folder(const std::filesystem::path& path);

// Opens and takes an exclusive flock; empty when another process holds it. The lock lives as long
// as the descriptor.
std::optional<UniqueFd> try_lock_file(const std::filesystem::path& path);

// Writes everything, also over short writes and EINTR.
void write_all(int fd, ByteView content, std::string_view what);

// A folder removed with its content when the object goes.
class TemporaryFolder {
 public:
  // Creates `parent/prefix-XXXXXX` with mode 0700.
  TemporaryFolder(const std::filesystem::path& parent, std::string_view prefix);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dbbackup::util
