#include "util/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "util/error.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::util {

namespace {

// So that a clock which is moved by hand is looked at again.
constexpr Milliseconds kLongestPoll{200};

void require(int status, std::string_view what) {
  if (status != 0) throw system_error(what, status);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> found;
  for (const std::string& text : strings) found.push_back(const_cast<char*>(text.c_str()));
  found.push_back(nullptr);
  return found;
}

class FileActions {
 public:
  explicit FileActions(int output) {
    require(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
    require(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
            "posix_spawn_file_actions_addopen");
    for (const int target : {STDOUT_FILENO, STDERR_FILENO}) {
      require(::posix_spawn_file_actions_adddup2(&actions_, output, target),
              "posix_spawn_file_actions_adddup2");
    }
    // Ours are opened with O_CLOEXEC; a library's may not be.
    require(::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1),
            "posix_spawn_file_actions_addclosefrom_np");
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// A group of its own, and the signals as a program expects to find them.
class Attributes {
 public:
  Attributes() {
    require(::posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
    sigset_t signals;
    sigfillset(&signals);
    require(::posix_spawnattr_setsigdefault(&attributes_, &signals),
            "posix_spawnattr_setsigdefault");
    sigemptyset(&signals);
    require(::posix_spawnattr_setsigmask(&attributes_, &signals), "posix_spawnattr_setsigmask");
    require(::posix_spawnattr_setpgroup(&attributes_, 0), "posix_spawnattr_setpgroup");
    require(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETSIGMASK),
            "posix_spawnattr_setflags");
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// A started child. Its group id stays ours until it is reaped, so no stranger can be signalled.
class Child {
 public:
  Child(const Command& command, int output) {
    const FileActions actions(output);
    const Attributes attributes;
    const std::vector<char*> arguments = pointers(command.arguments);
    const std::vector<char*> environment = pointers(command.environment);
    require(::posix_spawn(&pid_, arguments.front(), actions.get(), attributes.get(),
                          arguments.data(), environment.data()),
            cat("cannot start ", command.arguments.front()));
    // Not by its wrapper: the header of glibc 2.36 declares that for C only.
    handle_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (handle_.valid()) return;
    const int problem = errno;
    reap(true);
    throw system_error("pidfd_open", problem);
  }
  ~Child() {
    if (pid_ > 0) reap(true);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int handle() const { return handle_.get(); }  // readable once it has ended
  void signal_group(int number) const { ::kill(-pid_, number); }

  // The wait status. `kill_group`: also ends what it has started.
  int reap(bool kill_group) {
    if (kill_group) signal_group(SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_ = 0;
  UniqueFd handle_;
};

// Output as lines, within the limits.
class Lines {
 public:
  Lines(const CommandLimits& limits, const std::function<void(std::string_view)>& on_line)
      : limits_(limits), on_line_(on_line) {}

  void add(std::string_view piece) {
    for (const char c : piece) {
      if (c == '\n') {
        end_line();
      } else if (line_.size() < limits_.line_bytes) {
        line_.push_back(c);
      }
      started_ = c != '\n';
    }
  }
  void finish() {
    if (started_) end_line();
  }
  std::size_t left_out() const { return seen_ > limits_.lines ? seen_ - limits_.lines : 0; }

 private:
  void end_line() {
    if (++seen_ <= limits_.lines) on_line_(printable(line_));
    line_.clear();
  }

  const CommandLimits& limits_;
  const std::function<void(std::string_view)>& on_line_;
  std::string line_;
  bool started_ = false;
  std::size_t seen_ = 0;
};

// Reads what is there. False at the end of the output.
bool read_some(int fd, Lines& lines) {
  std::array<char, 8192> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) lines.add({buffer.data(), static_cast<std::size_t>(got)});
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

CommandEnd run_command(const Command& command, const CommandLimits& limits, const Clock& clock,
                       const std::stop_token& stop,
                       const std::function<void(std::string_view)>& on_line) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("pipe2", errno);
  const UniqueFd output(ends[0]);
  UniqueFd childs_end(ends[1]);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  const UniqueFd stop_event(::eventfd(0, EFD_CLOEXEC));
  if (!stop_event.valid()) throw system_error("eventfd", errno);

  const SteadyPoint started = clock.steady_now();
  Child child(command, childs_end.get());
  childs_end.reset();
  const std::stop_callback on_stop(stop, [&] { ::eventfd_write(stop_event.get(), 1); });

  CommandEnd end;
  Lines lines(limits, on_line);
  std::optional<SteadyPoint> kill_at;  // set once it was asked to end
  std::array<pollfd, 3> events{pollfd{child.handle(), POLLIN, 0}, pollfd{output.get(), POLLIN, 0},
                               pollfd{stop_event.get(), POLLIN, 0}};
  bool killed = false;
  while (true) {
    const SteadyPoint now = clock.steady_now();
    if (!kill_at) {
      end.stopped = stop.stop_requested();
      end.timed_out = !end.stopped && now - started >= limits.timeout;
      if (end.stopped || end.timed_out) {
        child.signal_group(SIGTERM);
        kill_at = now + limits.grace;
        events[2].fd = -1;
      }
    } else if (!killed && now >= *kill_at) {
      child.signal_group(SIGKILL);
      killed = true;
    }
    const SteadyPoint next = kill_at ? *kill_at : started + limits.timeout;
    const auto pause =
        std::clamp(std::chrono::ceil<Milliseconds>(next - now), Milliseconds(1), kLongestPoll);
    ::poll(events.data(), events.size(), static_cast<int>(pause.count()));
    if (events[1].revents != 0 && !read_some(output.get(), lines)) events[1].fd = -1;
    if (events[0].revents != 0) break;
  }
  // Bounded: what it left in the background may write for ever.
  for (int pieces = 0; pieces < 64 && events[1].fd >= 0; ++pieces) {
    pollfd left{output.get(), POLLIN, 0};
    if (::poll(&left, 1, 0) <= 0 || !read_some(output.get(), lines)) break;
  }
  lines.finish();
  end.lines_left_out = lines.left_out();
  const int status = child.reap(kill_at.has_value());
  if (WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

}  // namespace dbbackup::util
