#include "config/daemon_config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::config {
namespace {

using Kind = AccessRule::Kind;

LoadResult load(std::string_view text) { return load_text(text, "f.yaml"); }

// The only diagnostic of a text that has one mistake.
Diagnostic only(std::string_view text) {
  const LoadResult result = load(text);
  INFO(text);
  REQUIRE(result.diagnostics.size() == 1);
  return result.diagnostics.front();
}

std::string message(std::string_view text) { return one_line(only(text)); }
std::string hint(std::string_view text) { return only(text).hint; }

}  // namespace

TEST_CASE("config: an empty configuration is the defaults", "[config]") {
  for (const char* text : {"", "\n", " \n\n", "# only a comment\n", "---\n", "---\n...\n", "~\n",
                           "\xef\xbb\xbf", "\xef\xbb\xbf# byte order mark\n", "version: 1\n",
                           "control:\naccess:\nhistory:\n", "access: {}\n"}) {
    INFO(text);
    const LoadResult result = load(text);
    CHECK(result.ok());
    CHECK(result.config == DaemonConfig{});
  }
  const DaemonConfig defaults;
  CHECK(defaults.state_dir == "/var/lib/dbbackup");
  CHECK(defaults.socket == "/run/dbbackupd.sock");
  CHECK(defaults.log_level == util::Severity::info);
  CHECK_FALSE(defaults.timezone);
  CHECK(defaults.runs_at_once == 2);
  CHECK(defaults.runs_per_host == 0);
  CHECK(defaults.runs_per_repository == 0);
  CHECK(defaults.stall_timeout == std::chrono::hours(2));
  CHECK(defaults.hook_timeout == std::chrono::minutes(10));
  CHECK(defaults.parallel >= 1);
  CHECK(defaults.parallel <= 4);
  CHECK(defaults.memory_limit == 192ULL * 1024 * 1024);
  CHECK(defaults.access.admin == std::vector<AccessRule>{{Kind::group, "dbbackup-admin"}});
  CHECK(defaults.access.operate.empty());
  CHECK(defaults.scratch_path() == "/var/lib/dbbackup/scratch");
}

TEST_CASE("config: every key is read", "[config]") {
  const LoadResult result = load(R"(version: 1
state_dir: /srv/state
socket: "/run/other.sock"
log_level: debug
timezone: America/Argentina/Buenos_Aires
runs_at_once: 8
runs_per_host: 3
runs_per_repository: 5
stall_timeout: 0
hook_timeout: 1h
parallel: 3
memory_limit: 1GiB
control:
  line_limit: 64KiB
  connections: 10
  idle_timeout: 90s
access:
  admin: [user:anna, group:dba]
  operator:
    - group:ops
  viewer: []
history:
  keep_runs: 30d
  keep_events: 2y
scratch_dir: '/mnt/big disk/scratch'
)");
  for (const Diagnostic& diagnostic : result.diagnostics) UNSCOPED_INFO(one_line(diagnostic));
  REQUIRE(result.ok());
  const DaemonConfig& config = result.config;
  CHECK(config.state_dir == "/srv/state");
  CHECK(config.socket == "/run/other.sock");
  CHECK(config.log_level == util::Severity::debug);
  CHECK(config.timezone == "America/Argentina/Buenos_Aires");
  CHECK(config.runs_at_once == 8);
  CHECK(config.runs_per_host == 3);
  CHECK(config.runs_per_repository == 5);
  CHECK(config.stall_timeout.count() == 0);
  CHECK(config.hook_timeout == std::chrono::hours(1));
  CHECK(config.parallel == 3);
  CHECK(config.memory_limit == 1ULL << 30U);
  CHECK(config.control.line_limit == 65536);
  CHECK(config.control.connections == 10);
  CHECK(config.control.idle_timeout == std::chrono::seconds(90));
  CHECK(config.access.admin == std::vector<AccessRule>{{Kind::user, "anna"}, {Kind::group, "dba"}});
  CHECK(config.access.operate == std::vector<AccessRule>{{Kind::group, "ops"}});
  CHECK(config.access.viewer.empty());
  CHECK(config.history.keep_runs == std::chrono::days(30));
  CHECK(config.history.keep_events == std::chrono::days(730));
  CHECK(config.scratch_dir == "/mnt/big disk/scratch");
  CHECK(config.scratch_path() == "/mnt/big disk/scratch");
}

TEST_CASE("config: the default scratch folder follows the state folder", "[config]") {
  DaemonConfig config;
  config.state_dir = "/home/anna/state";
  CHECK(config.scratch_path() == "/home/anna/state/scratch");
}

TEST_CASE("config: limits are inclusive and named in the message", "[config]") {
  struct Row {
    const char* key;
    std::vector<const char*> good;
    std::vector<const char*> bad;
    const char* wanted;
  };
  const std::vector<Row> rows = {
      {"version", {"1"}, {"0", "2", "one"}, "1"},
      {"runs_at_once",
       {"1", "64"},
       {"0", "65", "-1", "2.5", "two", "99999999999999999999"},
       "a whole number from 1 to 64"},
      {"parallel", {"1", "64"}, {"0", "65"}, "a whole number from 1 to 64"},
      {"memory_limit",
       {"64MiB", "64GiB", "67108864"},
       {"63MiB", "65GiB", "lots", "-1", "1PiB"},
       "a size from 64MiB to 64GiB"},
      {"control.line_limit", {"4KiB", "64MiB"}, {"4095", "65MiB"}, "a size from 4KiB to 64MiB"},
      {"control.connections", {"1", "4096"}, {"0", "4097"}, "a whole number from 1 to 4096"},
      {"control.idle_timeout",
       {"1s", "1d"},
       {"0", "999ms", "25h", "10"},
       "a duration from 1s to 1d"},
      {"history.keep_runs",
       {"1d", "100y"},
       {"23h", "101y", "forever"},
       "a duration from 1d to 36500d"},
      {"history.keep_events", {"1d", "100y"}, {"23h", "101y"}, "a duration from 1d to 36500d"},
      {"state_dir", {"/", "/a b"}, {"relative", "./x", "'~/x'"}, "an absolute path"},
      {"log_level",
       {"debug", "info", "warning", "error"},
       {"INFO", "all", "1"},
       "one of debug, info, warning, error"},
      {"timezone",
       {"UTC", "Europe/Berlin", "Etc/GMT+3"},
       {"/etc/passwd", "../x", "Europe/", "'Europe Berlin'", "''"},
       "an IANA time zone name"},
  };
  for (const Row& row : rows) {
    std::string prefix = util::cat(row.key, ": ");
    const std::size_t dot = prefix.find('.');
    if (dot != std::string::npos) prefix.replace(dot, 1, ":\n  ");
    for (const char* value : row.good) {
      INFO(prefix << value);
      CHECK(load(prefix + value).ok());
    }
    for (const char* value : row.bad) {
      INFO(prefix << value);
      CHECK(message(prefix + value).find(util::cat(row.key, " must be ", row.wanted)) !=
            std::string::npos);
    }
  }
}

TEST_CASE("config: a value that is refused leaves the default", "[config]") {
  const LoadResult result = load("runs_at_once: 99\nparallel: 7\n");
  CHECK_FALSE(result.ok());
  CHECK(result.config.runs_at_once == 2);
  CHECK(result.config.parallel == 7);
}

TEST_CASE("config: wrong kinds of values are named", "[config]") {
  CHECK(message("runs_at_once: [1]") ==
        "f.yaml:1:15: runs_at_once must be a whole number from 1 to 64, not a list");
  CHECK(message("state_dir: {a: b}") ==
        "f.yaml:1:12: state_dir must be an absolute path, not a section");
  CHECK(message("control: 5") ==
        "f.yaml:1:10: control must be a section with keys of its own, not \"5\"");
  CHECK(message("runs_at_once: '4'").find("not \"4\"") != std::string::npos);
  CHECK(hint("runs_at_once: '4'") == "write the number without quotes");
  CHECK(message("- a\n- b\n") == "f.yaml:1:1: the file must consist of lines `key: value`");
  CHECK(message("just words") == "f.yaml:1:1: the file must consist of lines `key: value`");
}

TEST_CASE("config: a key without a value is reported where the key is", "[config]") {
  CHECK(message("version: 1\nparallel:\n\n\nsocket: /s\n") ==
        "f.yaml:2:1: parallel must be a whole number from 1 to 64, not nothing");
  CHECK(hint("parallel:\n") == "give a value, or remove the key for the default");
  CHECK(message("access:\n  admin:\n").starts_with("f.yaml:2:3: access.admin must be"));
}

TEST_CASE("config: hints help with units, home folders and levels", "[config]") {
  CHECK(hint("memory_limit: 5 elephants").find("MiB") != std::string::npos);
  CHECK(hint("history: {keep_runs: 5}").find("2h30m") != std::string::npos);
  CHECK(hint("state_dir: ~/backup").find("~ is not expanded") == 0);
  CHECK(hint("log_level: warnin") == "did you mean \"warning\"?");
  CHECK(hint("log_level: INFO") == "did you mean \"info\"?");
}

TEST_CASE("config: unknown keys are refused with the nearest known one", "[config]") {
  CHECK(message("sate_dir: /x") == "f.yaml:1:1: unknown key \"sate_dir\"");
  CHECK(hint("sate_dir: /x") == "did you mean \"state_dir\"?");
  CHECK(hint("Socket: /x") == "did you mean \"socket\"?");
  CHECK(message("control:\n  line_limits: 1MiB\n") ==
        "f.yaml:2:3: unknown key \"control.line_limits\"");
  CHECK(hint("control:\n  line_limits: 1MiB\n") == "did you mean \"line_limit\"?");
  CHECK(hint("history: {xxxxxxxx: 1}") ==
        "known here are: keep_runs, keep_logs, keep_events, max_runs, max_events");
}

TEST_CASE("config: duplicate keys are refused at every level", "[config]") {
  CHECK(message("parallel: 1\nparallel: 1\n") == "f.yaml:2:1: duplicate key \"parallel\"");
  CHECK(hint("parallel: 1\nparallel: 1\n") == "it is set on line 1 already; keep one of the two");
  CHECK(message("control:\n  connections: 1\n  connections: 2\n") ==
        "f.yaml:3:3: duplicate key \"connections\"");
  CHECK(message("control: {connections: 1, \"connections\": 2}\n") ==
        "f.yaml:1:27: duplicate key \"connections\"");
  CHECK(load("parallel: 1\nparallel: 1\nparallel: 2\n").diagnostics.size() == 2);
}

TEST_CASE("config: access rules", "[config]") {
  for (const char* bad : {"anna", "user:", "group:", "users:anna", "'user: anna'", "user:a:b",
                          "user:a/b", "7", "[user:anna]", "user: anna", "\"user:a\\u0007\"", "~"}) {
    INFO(bad);
    const Diagnostic found = only(util::cat("access:\n  viewer:\n    - ", bad, "\n"));
    CHECK(found.message.starts_with("access.viewer must be a list of user:NAME and group:NAME"));
    CHECK(found.hint == "for example [user:anna, group:dba]");
    CHECK(found.line == 3);
  }
  CHECK(message("access: {admin: group:dba}").find("not \"group:dba\"") != std::string::npos);
  // An empty list is a decision, not a default.
  CHECK(load("access: {admin: []}").config.access.admin.empty());
}

TEST_CASE("config: a socket path the kernel cannot take is refused", "[config]") {
  CHECK(load(util::cat("socket: /", std::string(106, 'x'))).ok());
  CHECK(message(util::cat("socket: /", std::string(107, 'x')))
            .find("socket must be a path of at most 107 bytes") != std::string::npos);
  CHECK(message("state_dir: \"/a\\0b\"").find("an absolute path") != std::string::npos);
}

TEST_CASE("config: all mistakes are reported at once, in the order of the file", "[config]") {
  const LoadResult result = load(
      "paralel: 2\n"
      "runs_at_once: 0\n"
      "control:\n"
      "  connections: many\n"
      "  connections: 2\n"
      "timezone: !zone UTC\n"
      "socket: x\n");
  std::vector<int> lines;
  for (const Diagnostic& diagnostic : result.diagnostics) lines.push_back(diagnostic.line);
  CHECK(lines == std::vector<int>{1, 2, 4, 5, 6, 7});

  const util::Error error = to_error(result.diagnostics);
  CHECK(error.code() == util::ErrorCode::config_invalid);
  CHECK(error.message() == "f.yaml:1:1: unknown key \"paralel\" (and 5 more)");
  CHECK(error.hint() == "did you mean \"parallel\"?");
  const std::vector<Diagnostic> one(1, result.diagnostics[1]);
  CHECK(to_error(one).message() ==
        "f.yaml:2:15: runs_at_once must be a whole number from 1 to 64, not \"0\"");
}

TEST_CASE("config: anchors and aliases work", "[config]") {
  const LoadResult result =
      load("access:\n  admin: &people [user:anna]\n  operator: *people\n  viewer: *people\n");
  REQUIRE(result.ok());
  CHECK(result.config.access.viewer == std::vector<AccessRule>{{Kind::user, "anna"}});
}

TEST_CASE("config: a file is read", "[config]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "config-test");
  const std::filesystem::path path = folder.path() / "dbbackupd.yaml";
  CHECK_THROWS_AS(load_file(path), util::Error);
  try {
    load_file(path);
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::not_found);
    CHECK(error.message().find(path.string()) != std::string::npos);
  }
  CHECK_THROWS_AS(load_file(folder.path()), util::Error);

  util::write_file_atomically(path, util::as_bytes("parallel: 3\n"));
  CHECK(load_file(path).config.parallel == 3);
  CHECK(load_file(path).text == "parallel: 3\n");

  REQUIRE(::chmod(path.c_str(), 0664) == 0);
  CHECK(load_file(path).ok());
  REQUIRE(::chmod(path.c_str(), 0602) == 0);
  const LoadResult open_to_all = load_file(path);
  REQUIRE(open_to_all.diagnostics.size() == 1);
  CHECK(one_line(open_to_all.diagnostics[0]) ==
        util::cat(path.string(), ": the file can be written by everybody"));
  CHECK(open_to_all.diagnostics[0].hint == util::cat("chmod o-w ", path.string()));

  // A device writable by everybody is no risk, and a usual way to say "nothing".
  CHECK(load_file("/dev/null").ok());

  util::write_file_atomically(path, util::to_bytes(std::string((1U << 20U) + 1, '#')));
  CHECK_THROWS_AS(load_file(path), util::Error);
}

}  // namespace dbbackup::config
