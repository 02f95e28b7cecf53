// dbbackupd: the database backup daemon. See dbbackupd(8).
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "daemon/app.hpp"
#include "daemon/options.hpp"
#include "daemon/rescue.hpp"
#include "daemon/service_manager.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {
namespace {

// Source: sysexits(3), which interface.md names for the daemon.
int sysexit(util::ErrorCode code) {
  using util::ErrorCode;
  switch (code) {
    case ErrorCode::usage:
      return 64;
    case ErrorCode::verification_failed:
    case ErrorCode::source_damaged:
      return 65;
    case ErrorCode::not_found:
      return 66;
    case ErrorCode::unsupported:
      return 69;
    case ErrorCode::refused:
    case ErrorCode::already_exists:
      return 73;
    case ErrorCode::unavailable:
    case ErrorCode::timed_out:
    case ErrorCode::conflict:
      return 75;
    case ErrorCode::io:
    case ErrorCode::no_space:
      return 74;
    case ErrorCode::permission_denied:
    case ErrorCode::not_authorised:
      return 77;
    case ErrorCode::config_invalid:
      return 78;
    default:
      return 70;
  }
}

int check_config(const Options& options) {
  const auto file = config_path(options);
  if (!file) {
    std::puts("no configuration file; the defaults are valid");
    return 0;
  }
  const config::LoadResult loaded = config::load_file(*file);
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    std::fputs(config::render(diagnostic, loaded.text).c_str(), stderr);
  }
  if (!loaded.ok()) return 78;
  std::printf("%s: ok\n", file->c_str());
  return 0;
}

int serve(const Options& options) {
  const config::DaemonConfig config = effective_config(options);
  util::Logger log = make_logger();
  log.set_level(config.log_level);
  App app(options, config, log);
  app.run();
  return 0;
}

int start(int argc, char** argv) {
  ::umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  // Keys are in memory: no core dumps.
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);

  if (argc > 1 && std::string(argv[1]) == "rescue") return rescue(argc - 1, argv + 1);
  const Options options = parse_options(argc, argv);
  if (options.show_help) {
    std::fputs(usage_text().c_str(), stdout);
    return 0;
  }
  if (options.show_version) {
    std::puts("dbbackupd " DBBACKUP_VERSION);
    return 0;
  }
  if (options.check_config) return check_config(options);
  return serve(options);
}

}  // namespace
}  // namespace dbbackup::daemon

int main(int argc, char** argv) {
  using dbbackup::util::Error;
  try {
    return dbbackup::daemon::start(argc, argv);
  } catch (...) {
    const Error error = dbbackup::util::current_error();
    std::fprintf(stderr, "dbbackupd: %s (%s)\n", error.message().c_str(),
                 std::string(dbbackup::util::traits(error.code()).name).c_str());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
    return dbbackup::daemon::sysexit(error.code());
  }
}
