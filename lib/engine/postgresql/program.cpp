#include "engine/postgresql/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::engine::postgresql {

namespace {
namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;
using util::UniqueFd;
using SteadyClock = std::chrono::steady_clock;

constexpr const char* kPackagedPrograms = "/usr/lib/postgresql";
constexpr int kPasswordFd = 3;  // in the child
constexpr int kPollMilliseconds = 200;
constexpr std::chrono::seconds kGrace{2};
constexpr std::size_t kMaxMessages = 200;

void require(int status, const char* what) {
  if (status != 0) throw util::system_error(what, status);
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw util::system_error("pipe2", errno);
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
};

// A password file for libpq that exists in memory only. Source: postgresql.org "The Password File":
// a regular file that group and others cannot read.
UniqueFd password_file(const std::string& password) {
  UniqueFd fd(::memfd_create("login", MFD_CLOEXEC));
  if (!fd.valid()) throw util::system_error("memfd_create", errno);
  if (::fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) throw util::system_error("fchmod", errno);
  std::string line = "*:*:*:*:";
  for (const char c : password) {
    if (c == ':' || c == '\\') line += '\\';
    line += c;
  }
  line += '\n';
  util::write_all(fd.get(), util::as_bytes(line), "the password file");
  ::explicit_bzero(line.data(), line.size());
  return fd;
}

class Child {
 public:
  Child(const std::string& path, const std::vector<std::string>& arguments, int output, int errors,
        int password) {
    posix_spawn_file_actions_t actions;
    require(::posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init");
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, password, kPasswordFd);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, kPasswordFd + 1);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    std::vector<char*> argv{const_cast<char*>(path.c_str())};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    // Nothing of our own environment, which may hold settings that change what the programs do.
    // Indexes are built in larger pieces than by default, and each definition commits without
    // waiting for the disk: what a crash of the server loses is restored again anyway.
    std::string locale = "LC_ALL=C.UTF-8";
    std::string file = cat("PGPASSFILE=/proc/self/fd/", kPasswordFd);
    // libpq looks for certificates there.
    std::string home = cat("HOME=", ::getenv("HOME") == nullptr ? "/" : ::getenv("HOME"));
    std::string options = "PGOPTIONS=-c maintenance_work_mem=256MB -c synchronous_commit=off";
    const std::array<char*, 5> environment{locale.data(), file.data(), home.data(), options.data(),
                                           nullptr};
    const int status =
        ::posix_spawn(&pid_, path.c_str(), &actions, &attributes, argv.data(), environment.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (status != 0) throw util::system_error(cat("cannot start ", path), status);
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
};

void keep_lines(std::string& rest, std::string_view piece, std::vector<std::string>& lines) {
  rest += piece;
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    if (lines.size() < kMaxMessages) lines.push_back(util::printable(rest.substr(0, end)));
    rest.erase(0, end + 1);
  }
}

// "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "... 18beta1"
std::string version_in(const std::string& line) {
  const std::size_t at = line.find("(PostgreSQL) ");
  if (at == std::string::npos) return {};
  const std::string rest = line.substr(at + 13);
  return rest.substr(0, rest.find_first_of(" \n"));
}

int leading_number(const std::string& text) {
  return static_cast<int>(
      util::parse_int(text.substr(0, text.find_first_not_of("0123456789"))).value_or(0));
}

std::vector<std::string> candidates(const Login& login, const std::string& name) {
  if (!login.program_folder.empty()) return {login.program_folder + "/" + name};
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& version : fs::directory_iterator(kPackagedPrograms, error)) {
    found.push_back((version.path() / "bin" / name).string());
  }
  for (const char* folder : {"/usr/local/pgsql/bin/", "/usr/local/bin/", "/usr/bin/"}) {
    found.push_back(folder + name);
  }
  return found;
}

std::optional<Program> look_at(const std::string& path, const Login& login) {
  if (::access(path.c_str(), X_OK) != 0) return std::nullopt;
  Program program{path, 0, {}};
  std::string output;
  Login nobody = login;
  nobody.password = nullptr;
  run_program(program, {"--version"}, nobody, {},
              [&](util::ByteView piece) { output += util::as_text(piece); });
  program.version = version_in(output);
  program.major = leading_number(program.version);
  if (program.major == 0) return std::nullopt;
  return program;
}
}  // namespace

ProgramEnd run_program(const Program& program, const std::vector<std::string>& arguments,
                       const Login& login, const std::stop_token& stop,
                       const std::function<void(util::ByteView)>& take) {
  Pipe output;
  Pipe errors;
  ProgramEnd end;
  std::string rest;
  Child child = [&] {
    const UniqueFd password = password_file(login.password ? login.password() : std::string());
    return Child(program.path, arguments, output.write.get(), errors.write.get(), password.get());
  }();
  output.write.reset();
  errors.write.reset();
  std::array<pollfd, 2> sources{pollfd{output.read.get(), POLLIN, 0},
                                pollfd{errors.read.get(), POLLIN, 0}};
  std::optional<SteadyClock::time_point> kill_at;
  std::vector<std::uint8_t> buffer(1U << 16U);
  while (sources[0].fd >= 0 || sources[1].fd >= 0) {
    if (stop.stop_requested() && !kill_at) {
      child.signal(SIGTERM);
      kill_at = SteadyClock::now() + kGrace;
    }
    if (kill_at && SteadyClock::now() > *kill_at) child.signal(SIGKILL);
    ::poll(sources.data(), sources.size(), kPollMilliseconds);
    for (pollfd& source : sources) {
      if (source.fd < 0 || source.revents == 0) continue;
      const ssize_t got = ::read(source.fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        source.fd = -1;
        continue;
      }
      const util::ByteView piece(buffer.data(), static_cast<std::size_t>(got));
      if (&source == &sources[0]) {
        take(piece);
      } else {
        keep_lines(rest, util::as_text(piece), end.messages);
      }
    }
  }
  if (!rest.empty()) keep_lines(rest, "\n", end.messages);
  end.exit_status = child.wait();
  if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "cancelled");
  return end;
}

Program find_program(const Login& login, const std::string& name, int least_major) {
  std::optional<Program> best;
  int newest = 0;
  for (const std::string& path : candidates(login, name)) {
    const auto program = look_at(path, login);
    if (!program) continue;
    newest = std::max(newest, program->major);
    if (program->major == least_major) return *program;  // nothing fits better
    if (program->major > least_major && (!best || program->major < best->major)) best = program;
  }
  if (best) return *best;
  throw Error(ErrorCode::not_found,
              newest == 0
                  ? cat(name, " is not installed")
                  : cat(name, " ", newest, " is too old for a server of version ", least_major),
              cat("install the package postgresql-client-", least_major,
                  " or name its folder with --option program_folder=..."));
}

}  // namespace dbbackup::engine::postgresql
