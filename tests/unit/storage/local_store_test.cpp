#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::storage {
namespace {

namespace fs = std::filesystem;
using util::ErrorCode;

util::Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("no error");
  return {ErrorCode::internal, ""};
}

std::set<std::string> keys_of(ObjectStore& store) {
  std::set<std::string> keys;
  store.list("", [&](const ObjectInfo& info) { keys.insert(info.key); });
  return keys;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

void write_text(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

struct Fixture {
  util::TemporaryFolder folder{fs::temp_directory_path(), "dbbackup-test"};
  fs::path root = folder.path() / "store";
  fs::path temporary = root / ".tmp";
  std::unique_ptr<ObjectStore> store = open_local_store(root);
};

TEST_CASE("an existing store that is not there is not created again", "[storage]") {
  const util::TemporaryFolder folder(fs::temp_directory_path(), "dbbackup-test");
  const fs::path root = folder.path() / "unmounted";
  for (const StoreMode mode : {StoreMode::existing, StoreMode::read}) {
    CHECK(error_of([&] { open_local_store(root, mode); }).code() == ErrorCode::unavailable);
    CHECK_FALSE(fs::exists(root));
  }
}

TEST_CASE("a store opened for reading needs no temporary folder and makes none", "[storage]") {
  const util::TemporaryFolder folder(fs::temp_directory_path(), "dbbackup-test");
  open_local_store(folder.path())->put("config", util::as_bytes("x"));
  fs::remove_all(folder.path() / ".tmp");
  const auto store = open_local_store(folder.path(), StoreMode::read);
  CHECK(util::as_text(store->get("config")) == "x");
  CHECK_FALSE(fs::exists(folder.path() / ".tmp"));
}

TEST_CASE_METHOD(Fixture, "objects are private files named by their keys", "[storage]") {
  store->put("packs/ab/1", util::as_bytes("content"));
  CHECK(store->put_new("config", util::as_bytes("x")));
  CHECK(util::as_text(util::read_file(root / "packs/ab/1").value()) == "content");
  CHECK(mode_of(root) == 0700);
  CHECK(mode_of(root / "packs/ab") == 0700);
  CHECK(mode_of(root / "packs/ab/1") == 0600);
  CHECK(mode_of(root / "config") == 0600);
  CHECK(fs::is_empty(temporary));
  CHECK(store->space()->total > 0);
}

TEST_CASE_METHOD(Fixture, "a store opened again has its objects", "[storage]") {
  store->put("packs/ab/1", util::as_bytes("content"));
  store = open_local_store(root.string() + "/");
  CHECK(util::as_text(store->get("packs/ab/1")) == "content");
  CHECK(store->describe() == "file://" + root.string());
}

TEST_CASE_METHOD(Fixture, "files of other people are not objects", "[storage]") {
  store->put("packs/1", util::as_bytes("x"));
  write_text(root / "README.TXT", "x");
  write_text(root / ".hidden", "x");
  write_text(root / "packs/.nfs0001", "x");
  fs::create_directory(root / "lost+found");
  write_text(root / "lost+found/a", "x");
  fs::create_directory_symlink(root, root / "packs/loop");
  fs::create_symlink(root / "packs/1", root / "packs/link");
  CHECK(keys_of(*store) == std::set<std::string>{"packs/1"});
  CHECK_FALSE(store->stat("packs/link"));
}

TEST_CASE_METHOD(Fixture, "leftovers of a crash are invisible and go after a day", "[storage]") {
  write_text(temporary / "young", "half an obj");
  write_text(temporary / "old", "half an obj");
  fs::last_write_time(temporary / "old", fs::file_time_type::clock::now() - std::chrono::hours(25));
  CHECK(keys_of(*store).empty());
  store = open_local_store(root);
  CHECK(fs::exists(temporary / "young"));
  CHECK_FALSE(fs::exists(temporary / "old"));
}

void check_all_unavailable(ObjectStore& store) {
  const auto unavailable = [](const std::function<void()>& action) {
    const util::Error error = error_of(action);
    CHECK_THAT(error.message(), Catch::Contains("is gone"));
    CHECK_THAT(error.hint(), Catch::Contains("mounted"));
    return error.code() == ErrorCode::unavailable;
  };
  CHECK(unavailable([&] { store.put("packs/1", util::as_bytes("x")); }));
  CHECK(unavailable([&] { store.put_new("packs/2", util::as_bytes("x")); }));
  CHECK(unavailable([&] { store.get("packs/1"); }));
  CHECK(unavailable([&] { store.stat("packs/1"); }));
  CHECK(unavailable([&] { store.list("packs/", [](const ObjectInfo&) {}); }));
  CHECK(unavailable([&] { store.remove("packs/1"); }));
  CHECK(unavailable([&] { store.space(); }));
}

TEST_CASE_METHOD(Fixture, "a folder that vanished is not created again", "[storage]") {
  store->put("packs/1", util::as_bytes("x"));
  fs::rename(root, folder.path() / "elsewhere");
  check_all_unavailable(*store);
  CHECK_FALSE(fs::exists(root));

  // An unmounted disk leaves its empty mount point.
  fs::create_directory(root);
  check_all_unavailable(*store);
  CHECK(fs::is_empty(root));

  fs::remove(root);
  fs::rename(folder.path() / "elsewhere", root);
  CHECK(util::as_text(store->get("packs/1")) == "x");
}

TEST_CASE_METHOD(Fixture, "a listing of a store that vanishes meanwhile fails", "[storage]") {
  store->put("a/1", util::as_bytes("x"));
  store->put("b/1", util::as_bytes("x"));
  const auto list = [&] {
    store->list("", [&](const ObjectInfo&) {
      if (fs::exists(root)) fs::rename(root, folder.path() / "elsewhere");
    });
  };
  CHECK(error_of(list).code() == ErrorCode::unavailable);
}

TEST_CASE_METHOD(Fixture, "an object that is shorter on disk than promised is reported",
                 "[storage]") {
  store->put("packs/1", util::as_bytes("0123456789"));
  fs::resize_file(root / "packs/1", 4);
  const util::Error error = error_of([&] { store->get("packs/1", Range{0, 10}); });
  CHECK(error.code() == ErrorCode::io);
  CHECK_THAT(error.message(), Catch::Contains("shorter than promised"));
}

TEST_CASE_METHOD(Fixture, "a key cannot be both an object and a folder", "[storage]") {
  store->put("a/b", util::as_bytes("x"));
  CHECK_THROWS_AS(store->put("a", util::as_bytes("y")), util::Error);
  CHECK_THROWS_AS(store->put("a/b/c", util::as_bytes("y")), util::Error);
  CHECK(keys_of(*store) == std::set<std::string>{"a/b"});
  CHECK(fs::is_empty(temporary));
}

TEST_CASE("a folder that cannot be a store is refused", "[storage]") {
  const util::TemporaryFolder folder(fs::temp_directory_path(), "dbbackup-test");
  write_text(folder.path() / "file", "x");
  const util::Error error = error_of([&] { open_local_store(folder.path() / "file"); });
  CHECK_THAT(error.message(), Catch::Contains("file"));
  CHECK_THROWS_AS(open_local_store(folder.path() / "file" / "below"), util::Error);
}

// Root may do everything, so a test of permissions has to become somebody else for a while.
class Unprivileged {
 public:
  Unprivileged() {
    if (::geteuid() == 0) changed_ = ::seteuid(65534) == 0;
  }
  ~Unprivileged() {
    if (changed_ && ::seteuid(0) != 0) std::abort();
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  bool changed_ = false;
};

TEST_CASE_METHOD(Fixture, "missing permission is reported with the path and a hint", "[storage]") {
  store->put("packs/1", util::as_bytes("x"));
  fs::permissions(folder.path(), fs::perms(0555));
  fs::permissions(root, fs::perms(0555));
  fs::permissions(temporary, fs::perms(0555));
  fs::permissions(root / "packs", fs::perms(0555));
  fs::permissions(root / "packs/1", fs::perms(0));
  const auto denied = [&](const std::function<void()>& action) {
    const util::Error error = error_of(action);
    CHECK_THAT(error.message(), Catch::Contains(folder.path().string()));
    CHECK_FALSE(error.hint().empty());
    return error.code() == ErrorCode::permission_denied;
  };
  {
    const Unprivileged nobody;
    CHECK(denied([&] { open_local_store(folder.path() / "new"); }));
    CHECK(denied([&] { open_local_store(root); }));
    CHECK(denied([&] { store->put("packs/2", util::as_bytes("x")); }));
    CHECK(denied([&] { store->get("packs/1"); }));
    CHECK(denied([&] { store->remove("packs/1"); }));
  }
  for (const fs::path& path : {folder.path(), root, temporary, root / "packs"}) {
    fs::permissions(path, fs::perms(0700));
  }
}

// Lets writes fail after so many bytes, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit old_{};
};

TEST_CASE_METHOD(Fixture, "a put that fails midway changes nothing and leaves nothing",
                 "[storage]") {
  store->put("packs/1", util::as_bytes("old"));
  const util::Bytes large(3 << 20U);
  {
    const FileSizeLimit limit(1500000);
    const util::Error error = error_of([&] { store->put("packs/1", large); });
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.message(), Catch::Contains((root / "packs/1").string()));
    CHECK(error_of([&] { store->put_new("packs/2", large); }).code() == ErrorCode::io);
  }
  CHECK(util::as_text(store->get("packs/1")) == "old");
  CHECK(keys_of(*store) == std::set<std::string>{"packs/1"});
  CHECK(fs::is_empty(temporary));
}

// Runs the hidden test case below in a process of its own that dies at the given point; true when
// it was killed.
bool put_and_die_at(const char* point, const fs::path& root) {
  const std::string kill = std::string("DBBACKUP_KILL_AT=") + point;
  const std::string where = "DBBACKUP_TEST_STORE=" + root.string();
  std::string program = "unit_tests";
  std::string name = "child: put one object";
  char* const arguments[] = {program.data(), name.data(), nullptr};
  char* const environment[] = {const_cast<char*>(kill.c_str()), const_cast<char*>(where.c_str()),
                               nullptr};
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", &quiet, nullptr, arguments, environment);
  ::posix_spawn_file_actions_destroy(&quiet);
  REQUIRE(error == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST_CASE("child: put one object", "[.][storage]") {
  const char* root = std::getenv("DBBACKUP_TEST_STORE");
  REQUIRE(root != nullptr);
  open_local_store(root)->put("packs/1", util::as_bytes("new"));
}

TEST_CASE_METHOD(Fixture, "a killed put has happened or has not", "[storage]") {
  store->put("packs/1", util::as_bytes("old"));

  REQUIRE(put_and_die_at("local_store.before_rename", root));
  CHECK(util::as_text(store->get("packs/1")) == "old");
  CHECK(keys_of(*store) == std::set<std::string>{"packs/1"});
  CHECK(files_in(temporary) == 1);

  REQUIRE(put_and_die_at("local_store.after_rename", root));
  CHECK(util::as_text(store->get("packs/1")) == "new");
  CHECK(files_in(temporary) == 1);
}

// Run by tests/fault/local_store_disk_full.sh, which brings a disk of 4 MiB.
TEST_CASE("child: fill a small disk", "[.][storage]") {
  const char* disk = std::getenv("DBBACKUP_TEST_SMALL_DISK");
  REQUIRE(disk != nullptr);
  const fs::path root = fs::path(disk) / "store";
  const auto store = open_local_store(root);
  const util::Bytes large(std::size_t{3} << 20U, 1);
  store->put("packs/1", large);
  const util::Error error = error_of([&] { store->put("packs/2", large); });
  CHECK(error.code() == ErrorCode::no_space);
  CHECK_THAT(error.message(), Catch::Contains((root / "packs/2").string()));
  CHECK_FALSE(error.hint().empty());
  CHECK(keys_of(*store) == std::set<std::string>{"packs/1"});
  CHECK(fs::is_empty(root / ".tmp"));
  CHECK((store->get("packs/1") == large));
  CHECK(store->space()->free < large.size());
  // What was reported as failed works once there is room.
  store->remove("packs/1");
  store->put("packs/2", large);
  CHECK(keys_of(*store) == std::set<std::string>{"packs/2"});
}

}  // namespace
}  // namespace dbbackup::storage
