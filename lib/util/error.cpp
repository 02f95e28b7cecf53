#include "util/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

namespace dbbackup::util {

namespace {
// Exit statuses follow interface.md "Exit codes". Wire codes: -32602 is JSON-RPC's "invalid
// params", the rest lie in the range the specification leaves to applications (section 5.1: -32000
// to -32099).
constexpr std::array kTable{
    ErrorTraits{ErrorCode::usage, "usage", 64, -32602, false},
    ErrorTraits{ErrorCode::config_invalid, "config_invalid", 78, -32001, false},
    ErrorTraits{ErrorCode::not_found, "not_found", 2, -32002, false},
    ErrorTraits{ErrorCode::already_exists, "already_exists", 6, -32003, false},
    ErrorTraits{ErrorCode::conflict, "conflict", 6, -32004, false},
    ErrorTraits{ErrorCode::refused, "refused", 6, -32005, false},
    ErrorTraits{ErrorCode::not_authorised, "not_authorised", 77, -32006, false},
    ErrorTraits{ErrorCode::daemon_unreachable, "daemon_unreachable", 4, -32007, false},
    ErrorTraits{ErrorCode::unavailable, "unavailable", 1, -32008, true},
    ErrorTraits{ErrorCode::timed_out, "timed_out", 5, -32009, true},
    ErrorTraits{ErrorCode::cancelled, "cancelled", 130, -32010, false},
    ErrorTraits{ErrorCode::verification_failed, "verification_failed", 7, -32011, false},
    ErrorTraits{ErrorCode::source_damaged, "source_damaged", 1, -32012, false},
    ErrorTraits{ErrorCode::permission_denied, "permission_denied", 1, -32013, false},
    ErrorTraits{ErrorCode::no_space, "no_space", 1, -32014, true},
    ErrorTraits{ErrorCode::io, "io", 1, -32015, true},
    ErrorTraits{ErrorCode::unsupported, "unsupported", 1, -32016, false},
    ErrorTraits{ErrorCode::partial, "partial", 3, -32017, false},
    ErrorTraits{ErrorCode::internal, "internal", 1, -32603, false},
};
}  // namespace

const ErrorTraits& traits(ErrorCode code) {
  for (const ErrorTraits& entry : kTable) {
    if (entry.code == code) return entry;
  }
  return kTable.back();
}

std::span<const ErrorTraits> all_error_traits() { return kTable; }

std::optional<ErrorCode> error_code_from_name(std::string_view name) {
  for (const ErrorTraits& entry : kTable) {
    if (entry.name == name) return entry.code;
  }
  return std::nullopt;
}

Error::Error(ErrorCode code, std::string message, std::string hint)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

Error Error::with_context(std::string_view context) const {
  return {code_, std::string(context) + ": " + message_, hint_};
}

Error Error::with_hint(std::string hint) const { return {code_, message_, std::move(hint)}; }

Error system_error(std::string_view what, int error_number) {
  ErrorCode code = ErrorCode::io;
  std::string hint;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::not_found;
      break;
    case EEXIST:
      code = ErrorCode::already_exists;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::permission_denied;
      hint = "check the owner and mode of the path and of the folders above it";
      break;
    case EROFS:
      code = ErrorCode::permission_denied;
      hint =
          "the path is read-only for this process; under systemd add ReadWritePaths= in a drop-in "
          "(systemctl edit dbbackupd)";
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::no_space;
      hint = "free some space or raise the quota, then run it again";
      break;
    default:
      break;
  }
  std::string message(what);
  message += ": ";
  message += std::generic_category().message(error_number);
  return {code, std::move(message), std::move(hint)};
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorCode::internal, "out of memory"};
  } catch (const std::system_error& error) {
    return {ErrorCode::internal, error.what()};
  } catch (const std::exception& error) {
    return {ErrorCode::internal, std::string("unexpected: ") + error.what()};
  } catch (...) {
    return {ErrorCode::internal, "unexpected foreign exception"};
  }
}

}  // namespace dbbackup::util
