// The noun and the verb are found by hand, because global options may stand before, between and
// behind them; what is left is given to Boost.Program_options with exactly the options of that
// verb. Its result is walked in order instead of being stored in a variables_map: repeated options
// keep their order, and an option given twice can be refused.

#include "ctl/arguments.hpp"

#include <algorithm>
#include <boost/program_options.hpp>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
namespace po = boost::program_options;
using control::Parameter;
using control::ParameterType;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::string_view kHelpHint = "dbbackupctl --help lists all commands";

std::optional<Format> format_from_name(std::string_view name) {
  if (name == "table") return Format::table;
  if (name == "json") return Format::json;
  if (name == "jsonl") return Format::jsonl;
  if (name == "name") return Format::name;
  return std::nullopt;
}

// True when `word` is a global option whose value is the next word.
bool takes_next_word(std::string_view word) {
  return word == "-o" ||
         std::any_of(global_options().begin(), global_options().end(), [&](const Option& option) {
           return !option.placeholder.empty() && word == "--" + option.name;
         });
}

bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view before, std::string fallback) {
  const auto near = util::nearest(word, candidates);
  return near ? cat("did you mean ", before, *near, "?") : std::move(fallback);
}

[[noreturn]] void throw_unknown_word(std::span<const std::string> path, const std::string& word) {
  const std::vector<std::string> candidates = next_words(path);
  if (path.empty()) {
    throw Error(ErrorCode::usage, cat("unknown command ", util::printable(word)),
                suggestion(word, candidates, "", std::string(kHelpHint)));
  }
  const std::string so_far = util::join({path.begin(), path.end()}, " ");
  throw Error(ErrorCode::usage, cat("unknown command ", so_far, " ", util::printable(word)),
              suggestion(word, candidates, so_far + " ",
                         cat(so_far, " knows: ", util::join(candidates, ", "))));
}

// A word that is no command behind an option that is none of the global ones: it may be the value
// of an option with a typing error (`--soket PATH status`), or of one that stands too early.
void refuse_early_option(const std::string& option) {
  std::vector<std::string> candidates;
  for (const Option& known : global_options()) candidates.push_back("--" + known.name);
  if (!option.starts_with("--") ||
      std::find(candidates.begin(), candidates.end(), option) != candidates.end()) {
    return;
  }
  for (const Verb& verb : verbs()) {
    for (const Option& known : options_of(verb)) {
      if (option != "--" + known.name) continue;
      throw Error(ErrorCode::usage, cat(option, " stands before its command"),
                  cat("the options of a command stand behind it: dbbackupctl ", verb.spelling(),
                      " ... ", option));
    }
  }
  throw Error(ErrorCode::usage, cat("unknown option ", util::printable(option)),
              suggestion(option, candidates, "", std::string(kHelpHint)));
}

// Splits the line into the path of a verb and everything else.
struct Split {
  std::vector<std::string> path;
  const Verb* verb = nullptr;
  bool help = false;  // asked for with the word `help`
  std::vector<std::string> rest;
};

Split split_words(const std::vector<std::string>& words) {
  Split split;
  std::size_t i = 0;
  for (; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") break;
    if (is_option(word)) {
      split.rest.push_back(word);
      if (takes_next_word(word) && i + 1 < words.size()) split.rest.push_back(words[++i]);
      continue;
    }
    const std::vector<std::string> possible = next_words(split.path);
    if (std::find(possible.begin(), possible.end(), word) != possible.end()) {
      split.path.push_back(word);
    } else if (word == "help" && split.path.empty() && !split.help) {
      split.help = true;
    } else if (possible.empty()) {
      break;
    } else {
      if (i > 0) refuse_early_option(words[i - 1]);
      throw_unknown_word(split.path, word);
    }
  }
  split.rest.insert(split.rest.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  split.verb = find_verb(split.path);
  return split;
}

void describe(const Option& option, po::options_description& description) {
  std::string names = option.name;
  if (option.letter != 0) names += cat(",", std::string_view(&option.letter, 1));
  if (option.placeholder.empty()) {
    description.add_options()(names.c_str(), "");
  } else {
    description.add_options()(names.c_str(), po::value<std::string>());
  }
}

std::vector<Option> known_options(const Verb* verb) {
  std::vector<Option> options = verb != nullptr ? options_of(*verb) : std::vector<Option>{};
  options.insert(options.end(), global_options().begin(), global_options().end());
  return options;
}

// Two things Boost's parser sees differently: an option that means something without a value takes
// one only behind `=`
// (`--read-data default` must not swallow the name behind it), and `--pre-hook=` has a value, the
// empty one.
std::vector<std::string> prepared(const std::vector<std::string>& words,
                                  const std::vector<Option>& options) {
  std::vector<std::string> result;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--") {
      result.insert(result.end(), word, words.end());
      break;
    }
    result.push_back(*word);
    for (const Option& option : options) {
      const std::string name = "--" + option.name;
      if (!option.implicit.empty() && *word == name) result.back() += "=" + option.implicit;
      if (!option.placeholder.empty() && *word == name + "=") {
        result.back() = name;
        result.emplace_back();
      }
    }
  }
  return result;
}

std::vector<po::option> run_parser(const std::vector<std::string>& rest,
                                   const std::vector<Option>& options) {
  po::options_description description;
  for (const Option& option : options) describe(option, description);
  try {
    return po::command_line_parser(prepared(rest, options))
        .options(description)
        .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
        .run()
        .options;
  } catch (const po::unknown_option& error) {
    const std::string name = error.get_option_name();
    std::vector<std::string> candidates;
    for (const Option& option : options) candidates.push_back("--" + option.name);
    throw Error(ErrorCode::usage, cat("unknown option ", util::printable(name)),
                suggestion(name, candidates, "", "--help behind a command shows its options"));
  } catch (const po::error& error) {
    throw Error(ErrorCode::usage, util::printable(error.what()),
                "--help behind a command shows its options");
  }
}

// Source: RFC 3986 section 3.2.1 (userinfo); also refuses the password parameters that some clients
// take in the query.
void refuse_password_in_url(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return;
  const std::string_view rest = text.substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t at = authority.rfind('@');
  bool found = at != std::string_view::npos && at > 0 &&
               authority.substr(0, at).find(':') != std::string_view::npos;
  const std::size_t query = rest.find('?');
  if (!found && query != std::string_view::npos) {
    for (const std::string& pair : util::split(rest.substr(query + 1), '&')) {
      const std::string key = util::to_lower(std::string_view(pair).substr(0, pair.find('=')));
      found = found || key == "password" || key == "passwd" || key == "pwd";
    }
  }
  if (!found) return;
  throw Error(ErrorCode::usage,
              "a password inside a URL on the command line is visible to everybody",
              "leave it out and use --password-stdin, --password-file, --password-env, "
              "--password-credential or --password-prompt");
}

// One value typed for `parameter` joins what was typed before.
void assign(const Parameter& parameter, const std::string& text, json::Object& object) {
  refuse_password_in_url(text);
  const std::string spelling = spelling_of(parameter);
  if (!util::is_valid_utf8(text)) {
    throw Error(ErrorCode::usage, cat("the value of ", spelling, " is not valid UTF-8"));
  }
  if (parameter.type == ParameterType::strings) {
    json::Value& list = object[parameter.name];
    if (!list.is_array()) list = json::Array{};
    list.get_array().emplace_back(text);
    return;
  }
  if (parameter.type == ParameterType::options) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::usage, cat(spelling, " ", util::printable(text), ": no KEY=VALUE"),
                  cat("write it as ", spelling, " ", placeholder_of(parameter)));
    }
    json::Value& pairs = object[parameter.name];
    if (!pairs.is_object()) pairs = json::Object{};
    pairs.get_object()[text.substr(0, equals)] = text.substr(equals + 1);
    return;
  }
  if (object.contains(parameter.name)) {
    throw Error(ErrorCode::usage, cat(spelling, " was given twice"));
  }
  if (parameter.type == ParameterType::boolean) {
    object[parameter.name] = true;
    return;
  }
  if (!parameter.choices.empty() && std::find(parameter.choices.begin(), parameter.choices.end(),
                                              text) == parameter.choices.end()) {
    throw Error(ErrorCode::usage, cat(spelling, " cannot be ", util::printable(text)),
                suggestion(text, parameter.choices, "",
                           cat("choose one of ", util::join(parameter.choices, ", "))));
  }
  object[parameter.name] = text;
}

class Collector {
 public:
  explicit Collector(Invocation& invocation) : invocation_(invocation) {}

  void take(const po::option& option) {
    const std::string value = option.value.empty() ? std::string() : option.value.front();
    if (option.position_key >= 0) {
      take_positional(value);
    } else if (!take_global(option.string_key, value) && !take_secret(option.string_key, value)) {
      take_parameter(option.string_key, value);
    }
  }

 private:
  void take_positional(const std::string& value) {
    const Verb* verb = invocation_.verb;
    const std::vector<Parameter> positionals =
        verb != nullptr ? positionals_of(*verb) : std::vector<Parameter>{};
    if (position_ >= positionals.size()) {
      throw Error(ErrorCode::usage, cat("too many words: ", util::printable(value)),
                  verb != nullptr ? cat("dbbackupctl ", verb->spelling(), " --help")
                                  : std::string(kHelpHint));
    }
    const Parameter& parameter = positionals[position_];
    // A repeatable positional takes all words that are left.
    if (parameter.type != ParameterType::strings) ++position_;
    assign(parameter, value, target_of(parameter.name));
  }

  // secret_key=@FILE: read later, when the rest of the line is known to be right. An empty value
  // takes the option away and is no secret.
  bool take_option_secret(const Parameter& parameter, const std::string& text) {
    const std::size_t equals = text.find('=');
    if (!parameter.holds_secrets || equals == std::string::npos || equals + 1 == text.size() ||
        !control::is_secret_option(text.substr(0, equals))) {
      return false;
    }
    const std::string option = text.substr(0, equals);
    for (const auto& given : invocation_.option_secrets) {
      if (given.option != option) continue;
      throw Error(ErrorCode::usage, cat("option ", util::printable(option), " was given twice"));
    }
    invocation_.option_secrets.push_back(
        {parameter.name, option, control::parse_secret_source(text.substr(equals + 1), option)});
    return true;
  }

  bool take_global(const std::string& name, const std::string& value) {
    if (name == "socket") {
      invocation_.socket = value;
    } else if (name == "output") {
      const auto format = format_from_name(value);
      if (!format) {
        throw Error(ErrorCode::usage, cat("--output cannot be ", util::printable(value)),
                    "choose one of table, json, jsonl, name");
      }
      invocation_.format = *format;
    } else if (name == "no-color") {
      invocation_.no_color = true;
    } else if (name == "quiet") {
      invocation_.quiet = true;
    } else if (name == "help") {
      invocation_.help = true;
    } else if (name == "version") {
      invocation_.version = true;
    } else {
      return false;
    }
    return true;
  }

  bool take_secret(const std::string& name, const std::string& value) {
    for (const Parameter& parameter : invocation_.verb->parameters) {
      if (parameter.type != ParameterType::secret) continue;
      for (const std::string_view kind : kSecretSources) {
        if (name != cat(to_option_name(parameter.name), "-", kind)) continue;
        const auto [entry, added] =
            invocation_.secrets.emplace(parameter.name, SecretSource{std::string(kind), value});
        if (!added) {
          throw Error(ErrorCode::usage, cat("the ", to_option_name(parameter.name),
                                            " can come from one place only, not from --",
                                            to_option_name(parameter.name), "-", entry->second.kind,
                                            " and --", name));
        }
        return true;
      }
    }
    return false;
  }

  void take_parameter(const std::string& name, const std::string& value) {
    for (const auto* list : {&invocation_.verb->parameters, &invocation_.verb->own}) {
      for (const Parameter& parameter : *list) {
        if (parameter.positional || to_option_name(parameter.name) != name) continue;
        if (take_option_secret(parameter, value)) return;
        assign(parameter, value, target_of(parameter.name));
        return;
      }
    }
  }

  json::Object& target_of(const std::string& parameter) {
    return invocation_.verb->has_own(parameter) ? invocation_.own : invocation_.params;
  }

  Invocation& invocation_;
  std::size_t position_ = 0;
};

void require_everything(const Invocation& invocation) {
  for (const auto* list : {&invocation.verb->parameters, &invocation.verb->own}) {
    for (const Parameter& parameter : *list) {
      if (!parameter.required || parameter.type == ParameterType::secret) continue;
      if (invocation.params.contains(parameter.name) || invocation.own.contains(parameter.name)) {
        continue;
      }
      throw Error(ErrorCode::usage,
                  cat(invocation.verb->spelling(), ": ", spelling_of(parameter), " is missing"),
                  cat("dbbackupctl ", invocation.verb->spelling(), " --help"));
    }
  }
}

void make_paths_absolute(Invocation& invocation, const std::filesystem::path& folder) {
  if (invocation.verb->command == nullptr) return;
  for (const Parameter& parameter : invocation.verb->parameters) {
    if (parameter.completes != "file") continue;
    if (const auto path = json::get_string(invocation.params, parameter.name)) {
      invocation.params[parameter.name] = (folder / *path).lexically_normal().string();
    }
  }
}

}  // namespace

bool Invocation::flag(std::string_view name) const {
  return json::get_bool(own, name).value_or(false);
}

Invocation parse_arguments(const std::vector<std::string>& words,
                           const std::filesystem::path& folder) {
  const Split split = split_words(words);
  Invocation invocation;
  invocation.words = split.path;
  invocation.verb = split.verb;
  invocation.help = split.help;
  Collector collector(invocation);
  for (const po::option& option : run_parser(split.rest, known_options(split.verb))) {
    collector.take(option);
  }
  if (invocation.help || invocation.version) return invocation;
  if (invocation.verb == nullptr) {
    const std::vector<std::string> possible = next_words(split.path);
    if (split.path.empty()) {
      throw Error(ErrorCode::usage, "a command is missing", std::string(kHelpHint));
    }
    throw Error(ErrorCode::usage, cat(util::join(split.path, " "), ": a verb is missing"),
                cat("choose one of ", util::join(possible, ", ")));
  }
  require_everything(invocation);
  make_paths_absolute(invocation, folder);
  return invocation;
}

Format find_format(const std::vector<std::string>& words) {
  std::string name;
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const std::string& word = words[i];
    constexpr std::string_view kLong = "--output=";
    if (word == "-o" || word == "--output") {
      if (i + 1 < words.size()) name = words[i + 1];
    } else if (word.starts_with(kLong)) {
      name = word.substr(kLong.size());
    } else if (word.starts_with("-o")) {
      name = word.substr(2);
    }
  }
  return format_from_name(name).value_or(Format::table);
}

}  // namespace dbbackup::ctl
