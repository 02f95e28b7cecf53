#include "daemon/options.hpp"

#include <unistd.h>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/variables_map.hpp>
#include <cstdlib>
#include <sstream>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace po = boost::program_options;
namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr const char* kDefaultConfig = "/etc/dbbackup/dbbackupd.yaml";

po::options_description description() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("config", po::value<std::string>()->value_name("FILE"),
      "configuration file (default: /etc/dbbackup/dbbackupd.yaml)");
  add("state-dir", po::value<std::string>()->value_name("DIR"),
      "folder of the control database, key and default repository");
  add("socket", po::value<std::string>()->value_name("PATH"), "control socket to listen on");
  add("foreground",
      "stay in the terminal and log to stderr (it never forks; systemd needs no option)");
  add("log-level", po::value<std::string>()->value_name("L"), "debug, info, warning or error");
  add("check-config", "read the configuration, say what is wrong with it, and exit");
  add("version", "print the version and exit");
  add("help", "print this and exit");
  return options;
}

fs::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}
}  // namespace

std::optional<util::Severity> severity_from_name(const std::string& name) {
  for (const auto severity : {util::Severity::debug, util::Severity::info, util::Severity::warning,
                              util::Severity::error}) {
    if (util::severity_name(severity) == name) return severity;
  }
  return std::nullopt;
}

std::string usage_text() {
  std::ostringstream text;
  text << "Examples:\n"
          "  dbbackupd --foreground --state-dir ./state --socket ./dbbackupd.sock\n"
          "  dbbackupd --check-config --config /etc/dbbackup/dbbackupd.yaml\n"
          "  dbbackupd rescue list --repository file:///mnt/repository --recovery-key-file "
          "key.txt\n\n"
          "Usage: dbbackupd [OPTION]...\n"
          "       dbbackupd rescue list|restore --repository URL --recovery-key-file FILE [...]\n\n"
       << description() << "\nManual page: dbbackupd(8)\n";
  return text.str();
}

Options parse_options(int argc, const char* const* argv) {
  po::variables_map values;
  try {
    const po::options_description known = description();
    po::store(
        po::command_line_parser(argc, argv)
            .options(known)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .positional({})
            .run(),
        values);
  } catch (const po::error& error) {
    throw Error(ErrorCode::usage, error.what(), "see dbbackupd --help");
  }
  const auto path = [&](const char* name) -> std::optional<fs::path> {
    if (!values.count(name)) return std::nullopt;
    return fs::absolute(values[name].as<std::string>());
  };
  Options options;
  options.config_file = path("config");
  options.state_dir = path("state-dir");
  options.socket = path("socket");
  options.foreground = values.count("foreground") > 0;
  options.check_config = values.count("check-config") > 0;
  options.show_version = values.count("version") > 0;
  options.show_help = values.count("help") > 0;
  if (values.count("log-level")) {
    const auto name = values["log-level"].as<std::string>();
    options.log_level = severity_from_name(name);
    if (!options.log_level) {
      throw Error(ErrorCode::usage, cat("unknown log level '", name, "'"),
                  "use debug, info, warning or error");
    }
  }
  return options;
}

std::optional<fs::path> config_path(const Options& options) {
  if (options.config_file) return options.config_file;
  std::error_code ignored;
  if (fs::exists(kDefaultConfig, ignored)) return kDefaultConfig;
  return std::nullopt;
}

config::DaemonConfig effective_config(const Options& options) {
  config::DaemonConfig config;
  const std::optional<fs::path> file = config_path(options);
  if (file) {
    const config::LoadResult loaded = config::load_file(*file);
    if (!loaded.ok()) throw config::to_error(loaded.diagnostics);
    config = loaded.config;
  } else if (::geteuid() != 0) {
    fs::path state_home = environment_path("XDG_STATE_HOME");
    if (state_home.empty()) state_home = environment_path("HOME") / ".local/state";
    fs::path runtime = environment_path("XDG_RUNTIME_DIR");
    config.state_dir = state_home / "dbbackup";
    config.socket = (runtime.empty() ? config.state_dir : runtime) / "dbbackupd.sock";
  }
  if (options.state_dir) config.state_dir = *options.state_dir;
  if (options.socket) config.socket = *options.socket;
  if (options.log_level) config.log_level = *options.log_level;
  return config;
}

}  // namespace dbbackup::daemon
