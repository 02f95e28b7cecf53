#include "daemon/service_manager.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "util/text.hpp"

namespace dbbackup::daemon {

using util::cat;

void notify_ready(const std::string& status) {
  ::sd_notify(0, cat("READY=1\nSTATUS=", status).c_str());
}

void notify_status(const std::string& status) { ::sd_notify(0, cat("STATUS=", status).c_str()); }

void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<std::int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  ::sd_notify(0, cat("RELOADING=1\nMONOTONIC_USEC=", microseconds).c_str());
}

void notify_stopping() { ::sd_notify(0, "STOPPING=1\nSTATUS=waiting for running backups"); }

void notify_watchdog() { ::sd_notify(0, "WATCHDOG=1"); }

std::optional<std::chrono::milliseconds> watchdog_interval() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::milliseconds(microseconds / 1000);
}

std::optional<util::UniqueFd> inherited_listener() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  std::optional<util::UniqueFd> listener;
  for (int i = 0; i < count; ++i) {
    const int fd = SD_LISTEN_FDS_START + i;
    const bool ours = count == 1 || (names != nullptr && std::string(names[i]) == "control");
    if (ours && ::sd_is_socket_unix(fd, SOCK_STREAM, 1, nullptr, 0) > 0) {
      listener = util::UniqueFd(fd);
    }
  }
  if (names != nullptr) {
    for (int i = 0; names[i] != nullptr; ++i) ::free(names[i]);
    ::free(names);
  }
  return listener;
}

namespace {
// Source: systemd.exec(5) "JOURNAL_STREAM": device and inode of the stream that leads to the
// journal.
bool stderr_is_journal() {
  const char* value = std::getenv("JOURNAL_STREAM");
  if (value == nullptr) return false;
  unsigned long device = 0;
  unsigned long inode = 0;
  struct stat status {};
  return std::sscanf(value, "%lu:%lu", &device, &inode) == 2 &&
         ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void send_to_journal(util::Severity severity, std::string_view message,
                     const util::LogFields& fields) {
  // Source: syslog(3): 3 err, 4 warning, 6 info, 7 debug.
  static constexpr int kPriority[] = {7, 6, 4, 3};
  std::vector<std::string> entries{cat("MESSAGE=", message),
                                   cat("PRIORITY=", kPriority[static_cast<int>(severity)]),
                                   "SYSLOG_IDENTIFIER=dbbackupd"};
  for (const auto& [name, value] : fields) {
    std::string key = "DBBACKUP_";
    for (const char c : name) key.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
    entries.push_back(cat(key, "=", value));
  }
  std::vector<iovec> parts;
  parts.reserve(entries.size());
  for (std::string& entry : entries) parts.push_back({entry.data(), entry.size()});
  if (::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) < 0) {
    // A full or absent journal must not stop a backup; the line still reaches stderr.
    std::fprintf(stderr, "<%d>%s\n", kPriority[static_cast<int>(severity)],
                 util::printable(message).c_str());
  }
}
}  // namespace

util::Logger make_logger() {
  if (stderr_is_journal()) return util::Logger::to_sink(send_to_journal);
  return util::Logger::to_stderr(false);
}

}  // namespace dbbackup::daemon
