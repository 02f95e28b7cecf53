// The state folder: one daemon at a time, and a key that is made once and guarded.
#include "daemon/state.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "crypto/cipher.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::daemon {
namespace {

namespace fs = std::filesystem;
using util::ErrorCode;

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

util::Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("no error was thrown");
  return {ErrorCode::internal, ""};
}

struct Place {
  util::TemporaryFolder folder{fs::temp_directory_path(), "state-test"};
  fs::path path = folder.path() / "deep/state";
  fs::path key = path / "daemon.key";
};

}  // namespace

TEST_CASE("state: the first start makes a folder and a key that nobody else may read", "[daemon]") {
  const Place place;
  const StateFolder state(place.path);
  CHECK(mode_of(place.path) == 0700);
  CHECK(mode_of(place.key) == 0600);
  CHECK(state.daemon_key().size() == crypto::kKeyBytes);
  CHECK(fs::is_directory(state.index_folder()));
  CHECK(state.control_database() == place.path / "control.db");
}

TEST_CASE("state: the key stays the same over restarts and differs between folders", "[daemon]") {
  const Place place;
  const crypto::Secret first = StateFolder(place.path).daemon_key();
  CHECK(StateFolder(place.path).daemon_key() == first);
  CHECK(read_daemon_key(place.key) == first);
  const Place other;
  CHECK_FALSE(StateFolder(other.path).daemon_key() == first);
}

TEST_CASE("state: a second daemon in the same folder is refused", "[daemon]") {
  const Place place;
  {
    const StateFolder running(place.path);
    const util::Error error = error_of([&] { StateFolder{place.path}; });
    CHECK(error.code() == ErrorCode::conflict);
    CHECK(error.message().find(place.path.string()) != std::string::npos);
    CHECK_FALSE(error.hint().empty());
  }
  CHECK_NOTHROW(StateFolder(place.path));
}

TEST_CASE("state: a missing key beside a control database is not replaced by a new one",
          "[daemon]") {
  const Place place;
  { const StateFolder state(place.path); }
  std::ofstream(place.path / "control.db") << "anything";
  fs::remove(place.key);
  const util::Error error = error_of([&] { StateFolder{place.path}; });
  CHECK(error.code() == ErrorCode::config_invalid);
  CHECK(error.message().find("daemon.key") != std::string::npos);
  CHECK_FALSE(error.hint().empty());
  CHECK_FALSE(fs::exists(place.key));
}

TEST_CASE("state: a key that others may read is refused", "[daemon]") {
  const Place place;
  { const StateFolder state(place.path); }
  for (const auto open : {fs::perms::group_read, fs::perms::others_read, fs::perms::others_write}) {
    fs::permissions(place.key, fs::perms::owner_read | fs::perms::owner_write | open);
    const util::Error error = error_of([&] { StateFolder{place.path}; });
    CHECK(error.code() == ErrorCode::config_invalid);
    CHECK(error.hint().starts_with("chmod 600 "));
  }
}

TEST_CASE("state: a file that holds no key is refused", "[daemon]") {
  const Place place;
  { const StateFolder state(place.path); }
  for (const std::string& content : {std::string(), std::string("not hexadecimal"),
                                     std::string(62, 'a'), std::string(66, 'a')}) {
    std::ofstream(place.key, std::ios::trunc) << content << '\n';
    CHECK(error_of([&] { StateFolder{place.path}; }).code() == ErrorCode::config_invalid);
  }
  CHECK(error_of([&] { read_daemon_key(place.path / "absent"); }).code() ==
        ErrorCode::config_invalid);
}

}  // namespace dbbackup::daemon
