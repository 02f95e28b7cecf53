#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "control/address.hpp"
#include "control/server.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr mode_t kSocketMode = 0660;

util::UniqueFd new_socket(int flags) {
  util::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd.valid()) throw util::system_error("cannot create a socket", errno);
  return fd;
}

// Removes the socket file of a daemon that is gone. Whatever is not certainly that stays.
void remove_stale(const std::string& path, const UnixAddress& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;  // gone meanwhile: bind() decides
  if (!S_ISSOCK(status.st_mode)) {
    throw Error(ErrorCode::conflict, cat(path, " exists and is not a socket"),
                "choose another path with --socket");
  }
  const util::UniqueFd probe = new_socket(SOCK_NONBLOCK);
  if (::connect(probe.get(), address.get(), UnixAddress::size()) == 0 || errno != ECONNREFUSED) {
    throw Error(ErrorCode::conflict, cat("somebody serves at ", path, " already"),
                "stop the other daemon or choose another path with --socket");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw util::system_error(cat("cannot remove the stale socket ", path), errno);
  }
}

}  // namespace

util::UniqueFd listen_unix(const std::string& path) {
  const UnixAddress address(path);
  util::UniqueFd fd = new_socket(0);
  // Before bind(), so that the file never has more than this mode, whatever the umask is.
  if (::fchmod(fd.get(), kSocketMode) != 0)
    throw util::system_error("cannot restrict a socket", errno);
  int status = ::bind(fd.get(), address.get(), UnixAddress::size());
  if (status != 0 && errno == EADDRINUSE) {
    remove_stale(path, address);
    status = ::bind(fd.get(), address.get(), UnixAddress::size());
  }
  if (status != 0) throw util::system_error(cat("cannot bind the socket ", path), errno);
  // Afterwards as well, because the umask may have taken the group's rights.
  if (::chmod(path.c_str(), kSocketMode) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    throw util::system_error(cat("cannot listen on ", path), errno);
  }
  return fd;
}

}  // namespace dbbackup::control
