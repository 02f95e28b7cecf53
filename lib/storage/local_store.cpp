// Objects as files, the folders of the key as folders.
//
// The problem: an object must be there whole or not at all, also after a power cut, and a disk that
// was unmounted under a running daemon must not be mistaken for an empty store. (A put would fill
// the system disk below the mount point; a missing object would be reported as lost.)
//
// The choice: content is written to STORE/.tmp, synced, moved to its name, and the folder that got
// the name is synced. STORE/.tmp is made when the store is opened and never again, so its absence
// tells that the store is not where it was: puts fail by themselves, and whoever misses an object
// looks for .tmp before saying so. Comparing device and inode numbers of the root would also
// notice, but would not recognise the same disk when it is mounted again.
//
// A crash leaves its temporary file behind. It cannot be seen through the store (no key has a
// segment that begins with a dot) and is removed by whoever opens the store a day later.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "storage/object_store.hpp"
#include "storage/rules.hpp"
#include "util/file.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::storage {

namespace {

namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;
using util::system_error;
using util::UniqueFd;

// Between slices a stop request is looked for.
constexpr std::size_t kSliceBytes = std::size_t{1} << 20U;
// Longer than any single put can take.
constexpr std::chrono::hours kStaleAfter{24};

bool says_absent(int error) { return error == ENOENT || error == ENOTDIR; }

util::TimePoint modified_at(const struct stat& status) {
  const auto since_epoch = std::chrono::seconds(status.st_mtim.tv_sec) +
                           std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return util::TimePoint(std::chrono::floor<util::Milliseconds>(since_epoch));
}

// A file in the temporary folder; removed unless it was moved away.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& folder) : path_(folder + "/XXXXXX") {
    fd_ = UniqueFd(::mkostemp(path_.data(), O_CLOEXEC));  // mode 0600
    if (!fd_.valid()) throw system_error(cat("cannot create a file in ", folder), errno);
  }
  ~TemporaryFile() {
    if (!moved_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  bool move_to(const std::string& target) {
    moved_ = ::rename(path_.c_str(), target.c_str()) == 0;
    return moved_;
  }

 private:
  std::string path_;
  UniqueFd fd_;
  bool moved_ = false;
};

struct Entry {
  std::string name;
  struct stat status;
};

// The files and folders of a folder that can belong to keys. What disappears meanwhile is left out.
std::vector<Entry> read_folder(const std::string& path) {
  struct Close {
    void operator()(DIR* handle) const { ::closedir(handle); }
  };
  const std::unique_ptr<DIR, Close> handle(::opendir(path.c_str()));
  if (!handle) {
    if (says_absent(errno)) return {};
    throw system_error(cat("cannot list ", path), errno);
  }
  std::vector<Entry> entries;
  while (true) {
    errno = 0;
    const dirent* found = ::readdir(handle.get());
    if (found == nullptr) {
      if (errno != 0) throw system_error(cat("cannot list ", path), errno);
      return entries;
    }
    if (!is_key_segment(found->d_name)) continue;
    Entry entry{found->d_name, {}};
    if (::fstatat(::dirfd(handle.get()), found->d_name, &entry.status, AT_SYMLINK_NOFOLLOW) == 0) {
      entries.push_back(std::move(entry));
    } else if (errno != ENOENT) {
      throw system_error(cat("cannot look at ", path, "/", entry.name), errno);
    }
  }
}

class LocalStore final : public ObjectStore {
 public:
  // A copy of a store made for reading may lack the temporary folder: then the root alone is its
  // mark.
  LocalStore(std::string root, StoreMode mode)
      : root_(std::move(root)),
        temporary_(root_ + "/.tmp"),
        mark_(mode == StoreMode::read ? root_ : temporary_) {}

  void prepare(StoreMode mode) {
    if (mode == StoreMode::create) make_folders();
    require_present();
    if (mode == StoreMode::read) return;
    const TemporaryFile probe(temporary_);  // files can be written here
    remove_stale_temporaries(probe);
  }

  void make_folders() {
    const fs::path root(root_);
    // A path that cannot be looked at cannot be created either, and that error says why.
    std::error_code ignored;
    if (!fs::exists(root, ignored)) {
      util::create_private_folder(root);
      util::fsync_folder(root.parent_path());
    }
    util::create_private_folder(temporary_);
    util::fsync_folder(root);
  }

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    require_present();
    TemporaryFile file(temporary_);
    write(file, key, content, stop);
    const UniqueFd folder = open_folder_of(key);
    util::kill_point("local_store.before_rename");
    if (!file.move_to(path_of(key))) fail("cannot store ", key, errno);
    util::kill_point("local_store.after_rename");
    if (::fsync(folder.get()) != 0) fail("cannot sync the folder of ", key, errno);
  }

  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    if (stat(key, stop)) return false;
    const TemporaryFile file(temporary_);
    write(file, key, content, stop);
    const UniqueFd folder = open_folder_of(key);
    // Unlike rename(), link() does not replace.
    if (::link(file.path().c_str(), path_of(key).c_str()) != 0) {
      if (errno == EEXIST) return false;
      fail("cannot create ", key, errno);
    }
    if (::fsync(folder.get()) != 0) fail("cannot sync the folder of ", key, errno);
    return true;
  }

  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    const UniqueFd fd(::open(path_of(key).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
      if (!says_absent(errno)) fail("cannot open ", key, errno);
      require_present();
      throw absent_object(key, describe());
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) fail("cannot look at ", key, errno);
    if (!S_ISREG(status.st_mode)) throw absent_object(key, describe());
    const auto size = static_cast<std::uint64_t>(status.st_size);
    return read_part(fd, key, resolve_range(range, size, key, describe()), stop);
  }

  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    struct stat status {};
    if (::lstat(path_of(key).c_str(), &status) != 0) {
      if (!says_absent(errno)) fail("cannot look at ", key, errno);
      require_present();
      return std::nullopt;
    }
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    return ObjectInfo{key, static_cast<std::uint64_t>(status.st_size), modified_at(status)};
  }

  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    check_prefix(prefix);
    require_present();
    // "packs/a" is looked for in "packs".
    const std::size_t slash = prefix.rfind('/');
    walk(slash == std::string::npos ? "" : prefix.substr(0, slash + 1), prefix, each, stop);
    require_present();  // a store that went away meanwhile has not been listed
  }

  void remove(const std::string& key, std::stop_token stop) override {
    check_key(key);
    check_stop(stop, key);
    if (::unlink(path_of(key).c_str()) == 0) {
      util::fsync_folder(fs::path(path_of(key)).parent_path());
    } else if (says_absent(errno)) {
      require_present();
    } else if (errno != EISDIR) {  // a folder of other keys, so not an object
      fail("cannot remove ", key, errno);
    }
  }

  std::optional<Space> space() override {
    require_present();
    struct statvfs status {};
    if (::statvfs(root_.c_str(), &status) != 0) {
      throw system_error(cat("cannot tell the free space of ", root_), errno);
    }
    return Space{status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize};
  }

  std::string describe() const override { return "file://" + root_; }

 private:
  std::string path_of(const std::string& key) const { return cat(root_, "/", key); }

  // Errors: unavailable, when the store is not where it was when it was opened.
  void require_present() const {
    struct stat status {};
    if (::stat(mark_.c_str(), &status) == 0) return;
    if (!says_absent(errno)) throw system_error(cat("cannot look at ", mark_), errno);
    throw Error(ErrorCode::unavailable, cat("the repository folder ", root_, " is gone"),
                "check that its disk is mounted");
  }

  [[noreturn]] void fail(std::string_view what, const std::string& key, int error) const {
    if (says_absent(error)) require_present();
    throw system_error(cat(what, path_of(key)), error);
  }

  void write(const TemporaryFile& file, const std::string& key, util::ByteView content,
             const std::stop_token& stop) const {
    while (!content.empty()) {
      check_stop(stop, key);
      const std::size_t size = std::min(content.size(), kSliceBytes);
      util::write_all(file.fd(), content.first(size), path_of(key));
      content = content.subspan(size);
    }
    check_stop(stop, key);
    if (::fsync(file.fd()) != 0) fail("cannot sync ", key, errno);
  }

  UniqueFd open_folder_of(const std::string& key) {
    // Held until new folders are synced, so that nobody relies on one before it is durable.
    const std::scoped_lock lock(folders_);
    return open_folder(fs::path(path_of(key)).parent_path(), key);
  }

  // Opens a folder of `key`, created with its parents where they are missing. The root is never
  // created.
  UniqueFd open_folder(const fs::path& path, const std::string& key) const {
    const auto open = [&] {
      return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    };
    UniqueFd folder = open();
    if (!folder.valid() && errno == ENOENT && path != root_) {
      const UniqueFd parent = open_folder(path.parent_path(), key);
      if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        fail("cannot create the folder of ", key, errno);
      }
      if (::fsync(parent.get()) != 0) fail("cannot sync the folder above ", key, errno);
      folder = open();
    }
    if (!folder.valid()) fail("cannot open the folder of ", key, errno);
    return folder;
  }

  util::Bytes read_part(const UniqueFd& fd, const std::string& key, const Range& part,
                        const std::stop_token& stop) const {
    util::Bytes content(part.length);
    std::size_t done = 0;
    while (done < content.size()) {
      check_stop(stop, key);
      const ssize_t got =
          ::pread(fd.get(), content.data() + done, std::min(content.size() - done, kSliceBytes),
                  static_cast<off_t>(part.offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot read ", key, errno);
      if (got == 0) throw short_object(key, describe(), part.offset + done);
      done += static_cast<std::size_t>(got);
    }
    return content;
  }

  // `folder` is empty or ends in a slash.
  void walk(const std::string& folder, const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& each, const std::stop_token& stop) const {
    for (const Entry& entry : read_folder(path_of(folder))) {
      const std::string key = folder + entry.name;
      if (!key.starts_with(prefix)) continue;
      check_stop(stop, key);
      if (S_ISDIR(entry.status.st_mode)) {
        walk(key + "/", prefix, each, stop);
      } else if (S_ISREG(entry.status.st_mode)) {
        each({key, static_cast<std::uint64_t>(entry.status.st_size), modified_at(entry.status)});
      }
    }
  }

  // Ages are taken against a file written just now: the clock that counts is the file system's own.
  void remove_stale_temporaries(const TemporaryFile& probe) const {
    struct stat now {};
    if (::fstat(probe.fd(), &now) != 0) return;
    std::error_code error;  // what cannot be removed today is tried again the next time
    for (fs::directory_iterator at(temporary_, error); !error && at != fs::directory_iterator();
         at.increment(error)) {
      struct stat status {};
      if (::lstat(at->path().c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
          modified_at(status) < modified_at(now) - kStaleAfter) {
        ::unlink(at->path().c_str());
      }
    }
  }

  const std::string root_;
  const std::string temporary_;
  const std::string mark_;  // its absence says that the store is not where it was
  std::mutex folders_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_local_store(const std::string& folder, StoreMode mode) {
  fs::path root = fs::absolute(folder).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // "/a/b/" is "/a/b"
  auto store = std::make_unique<LocalStore>(root.string(), mode);
  store->prepare(mode);
  return store;
}

}  // namespace dbbackup::storage
