// Completion for shells: one engine, three small scripts.
//
// A script calls `dbbackupctl __complete -- WORD...`, the last word being the one that is typed
// (perhaps empty), and gets one candidate per line, with a description behind a tab. The single
// candidate kFileCandidate asks the shell to complete file names by itself.
//
// Threads: pure functions, but for the look-up that the caller brings.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/context.hpp"

namespace dbbackup::ctl {

struct Candidate {
  std::string text;
  std::string description = {};
};

inline constexpr std::string_view kFileCandidate = ":files";

// The names of a kind ("database", "job", "artifact", ...) that exist.
using NameLookup = std::function<std::vector<Candidate>(const std::string& kind)>;

std::vector<Candidate> complete(const std::vector<std::string>& words, const NameLookup& names);

// Asks the daemon by <kind>.list; quiet and short when it does not answer.
NameLookup names_from_daemon(const Call& call, const util::Clock& clock);

// The lines that `__complete` prints.
std::string completion_lines(const std::vector<Candidate>& candidates);

// Requires: bash, zsh or fish.
std::string completion_script(std::string_view shell);

}  // namespace dbbackup::ctl
