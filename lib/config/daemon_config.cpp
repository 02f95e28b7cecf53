#include "config/daemon_config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "config/field_reader.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::config {

using util::cat;

namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::chrono::days kDay{1};
constexpr std::size_t kLongestSocketPath = 107;  // Source: unix(7), sun_path without its NUL
constexpr std::uint64_t kLargestFile = kMiB;     // a thousand times what anybody writes by hand

DaemonConfig read_config(FieldReader& reader, const Node& root) {
  DaemonConfig config;
  unsigned version = 1;
  const std::vector<Field> control = {
      {"line_limit", reader.size(config.control.line_limit, 4 * kKiB, 64 * kMiB)},
      {"connections", reader.integer(config.control.connections, 1, 4096)},
      {"idle_timeout", reader.duration(config.control.idle_timeout, std::chrono::seconds(1), kDay)},
  };
  const std::vector<Field> access = {
      {"admin", reader.access_rules(config.access.admin)},
      {"operator", reader.access_rules(config.access.operate)},
      {"viewer", reader.access_rules(config.access.viewer)},
  };
  const std::vector<Field> history = {
      {"keep_runs", reader.duration(config.history.keep_runs, kDay, 36500 * kDay)},
      {"keep_logs", reader.duration(config.history.keep_logs, kDay, 36500 * kDay)},
      {"keep_events", reader.duration(config.history.keep_events, kDay, 36500 * kDay)},
      {"max_runs", reader.integer(config.history.max_runs, 1'000, 10'000'000)},
      {"max_events", reader.integer(config.history.max_events, 1'000, 10'000'000)},
  };
  const std::vector<Field> maintenance = {
      {"rate", reader.size(config.maintenance.rate, 0, 1024 * kGiB)},
      {"reread_within", reader.duration(config.maintenance.reread_within, kDay, 3650 * kDay)},
      {"control_backup_every",
       reader.duration(config.maintenance.control_backup_every, util::Milliseconds(0), 365 * kDay)},
  };
  reader.read(root, {
                        {"version", reader.integer(version, 1, 1)},
                        {"state_dir", reader.path(config.state_dir)},
                        {"socket", reader.path(config.socket, kLongestSocketPath)},
                        {"log_level", reader.log_level(config.log_level)},
                        {"timezone", reader.timezone(config.timezone)},
                        {"runs_at_once", reader.integer(config.runs_at_once, 1, 64)},
                        {"runs_per_host", reader.integer(config.runs_per_host, 0, 64)},
                        {"runs_per_repository", reader.integer(config.runs_per_repository, 0, 64)},
                        {"stall_timeout",
                         reader.duration(config.stall_timeout, util::Milliseconds(0), 365 * kDay)},
                        {"hook_timeout",
                         reader.duration(config.hook_timeout, std::chrono::seconds(1), 7 * kDay)},
                        {"parallel", reader.integer(config.parallel, 1, 64)},
                        {"memory_limit", reader.size(config.memory_limit, 64 * kMiB, 64 * kGiB)},
                        {"control", reader.section(control)},
                        {"access", reader.section(access)},
                        {"history", reader.section(history)},
                        {"maintenance", reader.section(maintenance)},
                        {"scratch_dir", reader.path(config.scratch_dir)},
                    });
  return config;
}

}  // namespace

unsigned default_parallel() { return std::clamp(std::thread::hardware_concurrency(), 1U, 4U); }

std::filesystem::path DaemonConfig::scratch_path() const {
  return scratch_dir.value_or(state_dir / "scratch");
}

LoadResult load_text(std::string_view text, const std::string& name) {
  LoadResult result;
  result.text = text;
  const NodePointer root = parse_document(text, name, result.diagnostics);
  if (root) {
    FieldReader reader(name, result.diagnostics);
    result.config = read_config(reader, *root);
  }
  std::stable_sort(result.diagnostics.begin(), result.diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) {
                     return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                   });
  return result;
}

LoadResult load_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw util::system_error(cat("cannot open ", name), errno);
  }
  const auto content = util::read_file(path, kLargestFile);
  if (!content) throw util::system_error(cat("cannot open ", name), ENOENT);
  LoadResult result = load_text(util::as_text(*content), name);
  // Only of a file: /dev/null, a fine empty configuration, is writable by everybody as well.
  if (S_ISREG(status.st_mode) && (status.st_mode & S_IWOTH) != 0) {
    result.diagnostics.insert(
        result.diagnostics.begin(),
        Diagnostic{name, 0, 0, "the file can be written by everybody", cat("chmod o-w ", name)});
  }
  return result;
}

}  // namespace dbbackup::config
