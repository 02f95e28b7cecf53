// The daemon's configuration file, dbbackupd.yaml, as a struct.
//
// The file says how the daemon itself runs: where it keeps things, who may talk to it, how much it
// may do at once. What is backed up and when lives in the control database. Every key has a
// default, so an empty file is a valid one. Mistakes are collected, not thrown one by one;
// dbbackupd.yaml(5) is the reader's description of the same keys.
//
// Threads: values and pure functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.hpp"
#include "util/task.hpp"
#include "util/time.hpp"

namespace dbbackup::config {

// "user:NAME" or "group:NAME". A name this machine does not know grants nothing.
struct AccessRule {
  enum class Kind { user, group };
  Kind kind = Kind::user;
  std::string name;
  bool operator==(const AccessRule&) const = default;
};

// Who belongs to which access class; root and the daemon's own user are admins in any case.
struct AccessConfig {
  std::vector<AccessRule> admin{{AccessRule::Kind::group, "dbbackup-admin"}};
  std::vector<AccessRule> operate;  // key `operator`, which C++ keeps for itself
  std::vector<AccessRule> viewer;
  bool operator==(const AccessConfig&) const = default;
};

struct ControlConfig {
  std::uint64_t line_limit = std::uint64_t{1} << 20U;  // bytes of one request line; 4 KiB to 64 MiB
  unsigned connections = 128;                          // at once; 1 to 4096
  util::Milliseconds idle_timeout = std::chrono::minutes(5);  // 1 s to 1 day
  bool operator==(const ControlConfig&) const = default;
};

// How long the journal of the past is kept; 1 day to 100 years. Artifacts are not affected.
struct HistoryConfig {
  util::Milliseconds keep_runs = std::chrono::days(400);
  util::Milliseconds keep_logs =
      std::chrono::days(400);  // of runs; they go with their run at the latest
  util::Milliseconds keep_events = std::chrono::days(400);
  unsigned max_runs = 1'000'000;  // 1,000 to 10,000,000, as max_events
  unsigned max_events = 1'000'000;
  bool operator==(const HistoryConfig&) const = default;
};

// What the daemon does to look after repositories.
struct MaintenanceConfig {
  std::uint64_t rate = 0;  // bytes per second that repacking and checking read; 0: no limit
  util::Milliseconds reread_within = std::chrono::days(30);        // 1 day to 10 years
  util::Milliseconds control_backup_every = std::chrono::hours(1);  // 0 (never) to 1 year
  bool operator==(const MaintenanceConfig&) const = default;
};

// The machine's cores, at least 1 and at most 4: more readers on one database seldom pay.
unsigned default_parallel();

struct DaemonConfig {
  std::filesystem::path state_dir = "/var/lib/dbbackup";
  std::filesystem::path socket = "/run/dbbackupd.sock";  // at most 107 bytes (Source: unix(7))
  util::Severity log_level = util::Severity::info;       // the least severe lines that are logged
  std::optional<std::string> timezone;                   // IANA name; empty: the machine's zone
  unsigned runs_at_once = 2;                             // 1 to 64
  unsigned runs_per_host = 0;                            // 0 to 64; 0: no limit
  unsigned runs_per_repository = 0;                      // 0 to 64; 0: no limit
  util::Milliseconds stall_timeout = std::chrono::hours(2);    // 0 (never) to 365 days
  util::Milliseconds hook_timeout = std::chrono::minutes(10);  // 1 s to 7 days
  unsigned parallel = default_parallel();                // reader workers of one run; 1 to 64
  std::uint64_t memory_limit = std::uint64_t{192}
                               << 20U;  // bytes of buffers of one run; 64 MiB to 64 GiB
  ControlConfig control;
  AccessConfig access;
  HistoryConfig history;
  MaintenanceConfig maintenance;
  std::optional<std::filesystem::path> scratch_dir;  // empty: "scratch" in the state folder

  // scratch_dir, or its default inside of state_dir as that is now (the command line may have
  // changed it).
  std::filesystem::path scratch_path() const;
  bool operator==(const DaemonConfig&) const = default;
};

struct LoadResult {
  DaemonConfig config;                  // to be used only when there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // in the order of the file
  std::string text;                     // what was read; render() shows lines of it

  bool ok() const { return diagnostics.empty(); }
};

// Reads the file. One that everybody may write to is refused by a diagnostic: whoever writes it
// commands the daemon. Errors: not_found, permission_denied, io, when there is nothing to read.
LoadResult load_file(const std::filesystem::path& path);

// `name` stands for the file in diagnostics.
LoadResult load_text(std::string_view text, const std::string& name);

}  // namespace dbbackup::config
