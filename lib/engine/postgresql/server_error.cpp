#include "engine/postgresql/server_error.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::ErrorCode;

struct Meaning {
  std::string_view state;  // a SQLSTATE, or the two characters of a class
  ErrorCode code;
  std::string_view hint;
};

// Source: postgresql.org "PostgreSQL Error Codes". The first line that fits counts.
constexpr std::array kMeanings{
    Meaning{"28P01", ErrorCode::permission_denied,
            "set the right password with 'dbbackupctl database set-password NAME'"},
    Meaning{"28", ErrorCode::permission_denied, "check the user name and the server's pg_hba.conf"},
    Meaning{"3D000", ErrorCode::not_found, ""},
    Meaning{"3F000", ErrorCode::not_found, ""},
    Meaning{"42501", ErrorCode::permission_denied,
            "grant the login what it lacks, for example 'GRANT pg_read_all_data TO it'"},
    Meaning{"42P01", ErrorCode::not_found, ""},
    Meaning{"42703", ErrorCode::not_found, ""},
    Meaning{"42", ErrorCode::usage, ""},
    Meaning{
        "57014", ErrorCode::unavailable,
        "a statement was cancelled on the server: by a person, a time limit, or on a standby by "
        "recovery (hot_standby_feedback=on avoids that)"},
    Meaning{"57P01", ErrorCode::unavailable, "the server or an administrator ended the session"},
    Meaning{"57", ErrorCode::unavailable, "the server is starting, stopping or was interrupted"},
    Meaning{"08", ErrorCode::unavailable, ""},
    Meaning{"55P03", ErrorCode::unavailable,
            "another session holds a lock for longer than lock_timeout; try again later"},
    Meaning{"40", ErrorCode::unavailable,
            "on a standby, hot_standby_feedback=on avoids conflicts with recovery"},
    Meaning{"53100", ErrorCode::no_space, "make room on the server"},
    Meaning{"53200", ErrorCode::unavailable,
            "if the server speaks of locks, raise its max_locks_per_transaction"},
    Meaning{"53", ErrorCode::unavailable, ""},
    Meaning{"23", ErrorCode::conflict, ""},
    Meaning{"XX001", ErrorCode::source_damaged, ""},
    Meaning{"XX002", ErrorCode::source_damaged, ""},
    Meaning{"0A", ErrorCode::unsupported, ""},
    Meaning{"22", ErrorCode::verification_failed, ""},
};

bool is_state(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isdigit(c) != 0 || std::isupper(c) != 0;
         });
}

std::string first_line(std::string_view message) {
  message = util::trim(message);
  std::string line(message.substr(0, message.find('\n')));
  // "ERROR:  " and its translations; the severity says nothing that being an error does not.
  const std::size_t colon = line.find(":  ");
  if (colon != std::string::npos && colon < 16) line.erase(0, colon + 3);
  return util::printable(line);
}
}  // namespace

util::Error explained(std::string_view state, std::string_view message) {
  const std::string line = first_line(message);
  for (const Meaning& meaning : kMeanings) {
    if (!state.empty() && state.starts_with(meaning.state)) {
      return {meaning.code, line, std::string(meaning.hint)};
    }
  }
  if (!state.empty()) return {ErrorCode::io, util::cat(line, " (SQLSTATE ", state, ")")};
  return {ErrorCode::unavailable, line.empty() ? "the connection was lost" : line,
          "check host and port, and whether the server runs and accepts connections"};
}

std::string take_state(std::string& message) {
  for (std::size_t at = message.find(":  "); at != std::string::npos;
       at = message.find(":  ", at + 1)) {
    const std::string_view rest = std::string_view(message).substr(at + 3);
    if (rest.size() < 7 || !is_state(rest.substr(0, 5)) || rest.substr(5, 2) != ": ") continue;
    std::string state(rest.substr(0, 5));
    message.erase(0, at + 10);
    return state;
  }
  return {};
}

}  // namespace dbbackup::engine::postgresql
