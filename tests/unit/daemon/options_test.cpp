// The command line of the daemon, and how it lies over the configuration file.
#include "daemon/options.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::daemon {
namespace {

namespace fs = std::filesystem;
using util::ErrorCode;

Options parsed(std::vector<const char*> words) {
  words.insert(words.begin(), "dbbackupd");
  return parse_options(static_cast<int>(words.size()), words.data());
}

ErrorCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const util::Error& error) {
    return error.code();
  }
  FAIL("no error was thrown");
  return ErrorCode::internal;
}

}  // namespace

TEST_CASE("options: every option is understood", "[daemon]") {
  const Options options =
      parsed({"--config", "/etc/x.yaml", "--state-dir=/srv/state", "--socket", "/run/x.sock",
              "--log-level", "debug", "--foreground", "--check-config"});
  CHECK(options.config_file == "/etc/x.yaml");
  CHECK(options.state_dir == "/srv/state");
  CHECK(options.socket == "/run/x.sock");
  CHECK(options.log_level == util::Severity::debug);
  CHECK(options.foreground);
  CHECK(options.check_config);
  CHECK_FALSE(options.show_version);
  CHECK(parsed({"--version"}).show_version);
  CHECK(parsed({"--help"}).show_help);
}

TEST_CASE("options: without any there is nothing to override", "[daemon]") {
  const Options options = parsed({});
  CHECK_FALSE(options.config_file);
  CHECK_FALSE(options.state_dir);
  CHECK_FALSE(options.socket);
  CHECK_FALSE(options.log_level);
  CHECK_FALSE(options.check_config);
}

TEST_CASE("options: relative paths are those of the caller's folder", "[daemon]") {
  CHECK(parsed({"--state-dir", "state"}).state_dir == fs::current_path() / "state");
}

TEST_CASE("options: what cannot be understood is a usage error", "[daemon]") {
  for (const std::vector<const char*>& words : {std::vector<const char*>{"--no-such-option"},
                                                {"--state", "x"},
                                                {"stray"},
                                                {"--socket"},
                                                {"--log-level", "loud"}}) {
    CAPTURE(words.front());
    CHECK(code_of([&] { parsed(words); }) == ErrorCode::usage);
  }
}

TEST_CASE("options: the command line comes before the file, the file before the defaults",
          "[daemon]") {
  const util::TemporaryFolder folder(fs::temp_directory_path(), "options-test");
  const fs::path file = folder.path() / "dbbackupd.yaml";
  {
    std::ofstream out(file);
    out << "state_dir: /srv/from-file\nsocket: /run/from-file.sock\nruns_at_once: 5\n";
  }
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  const config::DaemonConfig config = effective_config(
      parsed({"--config", file.c_str(), "--socket", "/run/typed.sock", "--log-level", "error"}));
  CHECK(config.state_dir == "/srv/from-file");
  CHECK(config.socket == "/run/typed.sock");
  CHECK(config.log_level == util::Severity::error);
  CHECK(config.runs_at_once == 5);
}

TEST_CASE("options: a file that was named must be there and be right", "[daemon]") {
  const util::TemporaryFolder folder(fs::temp_directory_path(), "options-test");
  const fs::path file = folder.path() / "dbbackupd.yaml";
  CHECK(code_of([&] {
          effective_config(parsed({"--config", file.c_str()}));
        }) == ErrorCode::not_found);
  std::ofstream(file) << "runs_at_onse: 5\n";
  CHECK(code_of([&] {
          effective_config(parsed({"--config", file.c_str()}));
        }) == ErrorCode::config_invalid);
}

TEST_CASE("options: the manual describes every option", "[daemon]") {
  const auto content = util::read_file(fs::path(DBBACKUP_SOURCE_DIR) / "daemon/dbbackupd.8");
  REQUIRE(content);
  std::string manual;
  for (const char c : util::as_text(*content)) {
    if (c != '\\') manual.push_back(c);  // roff writes an option's dashes as \-
  }
  const std::string usage = usage_text();
  for (std::size_t at = usage.find("\n  --"); at != std::string::npos;
       at = usage.find("\n  --", at + 1)) {
    const std::string option = usage.substr(at + 3, usage.find_first_of(" \n", at + 3) - at - 3);
    CAPTURE(option);
    CHECK(manual.find(option) != std::string::npos);
  }
}

}  // namespace dbbackup::daemon
