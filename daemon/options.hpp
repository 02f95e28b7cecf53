// dbbackupd's command line.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/daemon_config.hpp"
#include "util/log.hpp"

namespace dbbackup::daemon {

struct Options {
  std::optional<std::filesystem::path> config_file;  // as given with --config
  std::optional<std::filesystem::path> state_dir;
  std::optional<std::filesystem::path> socket;
  std::optional<util::Severity> log_level;
  bool foreground = false;
  bool check_config = false;
  bool show_version = false;
  bool show_help = false;
};

// Errors: usage.
Options parse_options(int argc, const char* const* argv);
std::string usage_text();

// The file that configures this daemon: --config, or the default one when it exists. Empty:
// built-in defaults.
std::optional<std::filesystem::path> config_path(const Options& options);

// Loads the file (or defaults) and puts the command line over it. A normal user without a file gets
// the XDG folders. Errors: config_invalid with the first diagnostic; not_found for a file named
// with --config that is not there.
config::DaemonConfig effective_config(const Options& options);

std::optional<util::Severity> severity_from_name(const std::string& name);

}  // namespace dbbackup::daemon
