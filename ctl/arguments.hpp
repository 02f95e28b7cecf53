// From the words of a command line to what is to be done.
//
// Threads: pure functions.
// Errors: usage, naming the word that is wrong, with a suggestion in the hint.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/secret_source.hpp"
#include "ctl/verb.hpp"
#include "util/json.hpp"

namespace dbbackup::ctl {

enum class Format { table, json, jsonl, name };

// Where a secret comes from, as in --password-file F: {"file", "F"}; kind "prompt", too.
using SecretSource = control::SecretSource;

struct Invocation {
  std::optional<std::string> socket;
  Format format = Format::table;
  bool no_color = false;
  bool quiet = false;
  bool help = false;
  bool version = false;

  std::vector<std::string> words;  // the part of the path that was typed; for help about it
  const Verb* verb = nullptr;      // null only with help or version
  util::json::Object params;       // for the daemon, without secrets
  util::json::Object own;          // --wait, --follow, --yes, ...
  std::map<std::string, SecretSource> secrets;  // by parameter
  // Secret ones of a parameter that holds options: parameter, option, source.
  struct OptionSecret {
    std::string parameter;
    std::string option;
    SecretSource source;
  };
  std::vector<OptionSecret> option_secrets;

  bool flag(std::string_view name) const;  // one of the client's own
};

// `words` without the program's name. `folder` makes relative paths absolute.
Invocation parse_arguments(const std::vector<std::string>& words,
                           const std::filesystem::path& folder);

// What was asked for with -o, even when the rest of the line is wrong: decides how the error is
// shown.
Format find_format(const std::vector<std::string>& words);

}  // namespace dbbackup::ctl
