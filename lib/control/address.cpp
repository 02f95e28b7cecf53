#include "control/address.hpp"

#include <cstring>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

UnixAddress::UnixAddress(const std::string& path) {
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw util::Error(util::ErrorCode::usage,
                      util::cat("socket path '", path, "' is empty or longer than ",
                                sizeof address.sun_path - 1, " bytes"),
                      "choose a shorter path with --socket");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
}

}  // namespace dbbackup::control
