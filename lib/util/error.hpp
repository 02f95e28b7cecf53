// The one exception type of the product and its closed table of codes.
//
// Every failure a user can see is an Error: `message` is one lower-case line that names the object,
// `hint` says what to do about it (or is empty). The code fixes three things at once, so that they
// can never disagree: the client's exit status, the JSON-RPC error code on the wire, and whether
// trying the same thing again makes sense.
#pragma once

#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dbbackup::util {

enum class ErrorCode {
  usage,                // a malformed request: unknown option, bad value
  config_invalid,       // a configuration file or stored setting that cannot be used
  not_found,            // the named object does not exist
  already_exists,       // the name is taken
  conflict,             // the state does not allow it now: already running, owned by another daemon
  refused,              // a guard said no: restore not allowed, target not empty
  not_authorised,       // the caller may not do this
  daemon_unreachable,   // the client found no daemon behind the socket
  unavailable,          // a server, store or lock that may come back
  timed_out,            // a limit of time was reached
  cancelled,            // somebody asked for it
  verification_failed,  // stored or restored data is not what was sealed
  source_damaged,       // the database to back up is itself corrupt
  permission_denied,    // the operating system or the server refused access
  no_space,             // a disk or quota is full
  io,                   // any other input/output failure
  unsupported,          // a kind, version or option this build cannot serve
  partial,              // finished, with parts missing that are listed
  internal,             // a broken assumption of ours
};

struct ErrorTraits {
  ErrorCode code;
  std::string_view name;  // as shown in parentheses and in JSON
  int exit_status;        // of dbbackupctl
  int wire_code;          // JSON-RPC error code
  bool retryable;         // whether an automatic retry makes sense
};

const ErrorTraits& traits(ErrorCode code);
std::span<const ErrorTraits> all_error_traits();
std::optional<ErrorCode> error_code_from_name(std::string_view name);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {});

  const char* what() const noexcept override { return message_.c_str(); }
  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }

  // Puts `context` and ": " in front of the message. To be used as `throw
  // error.with_context("reading x")`.
  Error with_context(std::string_view context) const;
  Error with_hint(std::string hint) const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
};

// An Error for a failed system call: maps errno to a code (ENOSPC, EACCES, EROFS, ENOENT, ...) and
// adds the hint that belongs to it. `what` names the object, for example "cannot create /x/y".
Error system_error(std::string_view what, int error_number);

// The exception in flight as an Error; anything foreign becomes `internal`. Requires: called inside
// a catch block.
Error current_error();

}  // namespace dbbackup::util
