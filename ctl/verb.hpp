// What can be typed: the command table of the control room as words and options of a command line.
//
// The client knows no command by itself. It turns a parameter `keep_last` into `--keep-last N`, a
// secret into the four ways to hand one over, and adds the few options that are its own business
// (--wait, --follow, --yes). Parser, help, completion and the man page's test all read these rows.
//
// Threads: immutable after construction.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/command.hpp"

namespace dbbackup::ctl {

struct Verb {
  std::vector<std::string> words;   // {"repository", "key", "export"}
  const control::Command* command;  // null: the client answers without the daemon
  std::string summary;
  std::vector<control::Parameter> parameters;  // travel to the daemon
  std::vector<control::Parameter> own;         // stay here
  std::vector<std::string> examples;

  std::string spelling() const;  // "repository key export"
  bool has_own(std::string_view name) const;
};

// One option as it is typed, for the parser, help and completion.
struct Option {
  std::string name;         // "keep-last", without dashes
  char letter = 0;          // 'o' for -o, 0 for none
  std::string placeholder;  // "N"; empty for a flag
  std::string summary;
  bool repeatable = false;
  bool required = false;
  std::string implicit = {};  // what it means without a value: --read-data is --read-data=100
  std::vector<std::string> choices = {};
  std::string completes = {};  // as in control::Parameter; "file" for paths
};

// In the order in which help shows them.
const std::vector<Verb>& verbs();
// The command with exactly these words; null when there is none.
const Verb* find_verb(std::span<const std::string> words);
// The words that may follow `words`; empty behind a complete command.
std::vector<std::string> next_words(std::span<const std::string> words);
// One line about a noun, for help.
std::string_view noun_summary(std::string_view noun);

const std::vector<Option>& global_options();
std::vector<Option> options_of(const Verb& verb);
std::vector<control::Parameter> positionals_of(const Verb& verb);

std::string to_option_name(std::string_view parameter);  // keep_last -> keep-last
std::string placeholder_of(const control::Parameter& parameter);
// What errors call it: --keep-last, or NAME for a positional.
std::string spelling_of(const control::Parameter& parameter);

// The ways to hand over a secret `password`: --password-stdin, --password-file F, ...
inline constexpr std::string_view kSecretSources[] = {"stdin", "file", "env", "credential",
                                                      "prompt"};

}  // namespace dbbackup::ctl
