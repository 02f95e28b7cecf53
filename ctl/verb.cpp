#include "ctl/verb.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "util/text.hpp"

namespace dbbackup::ctl {

using control::Parameter;
using control::ParameterType;
using util::cat;

namespace {

// What cannot be undone is asked about first.
constexpr std::array<std::string_view, 4> kConfirmed{"artifact.remove", "repository.remove",
                                                     "database.remove", "restore.start"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kNouns{{
    {"database", "endpoints that can be backed up, and restored into when allowed"},
    {"repository", "places where artifacts are kept"},
    {"job", "what to back up, where to, and what to keep"},
    {"backup", "back up a database now, without a job"},
    {"schedule", "when jobs, drills, checks and prunes run"},
    {"run", "what is running and what has run"},
    {"artifact", "restore points: list, prove, export, protect, remove"},
    {"restore", "put an artifact back into a database"},
    {"status", "how everything is doing"},
    {"events", "the audit trail: who did what"},
    {"daemon", "the service itself"},
    {"completion", "completion scripts for bash, zsh and fish"},
}};

// Where the type alone would say too little.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kPlaceholders{{
    {"url", "URL"},
    {"include", "GLOB"},
    {"exclude", "GLOB"},
    {"where", "STREAM=CONDITION"},
    {"window", "HH:MM-HH:MM"},
    {"cron", "EXPR"},
    {"timezone", "TZ"},
    {"reason", "TEXT"},
    {"pre_hook", "CMD"},
    {"post_hook", "CMD"},
    {"read_data", "PERCENT"},
}};

std::string to_upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool has_parameter(const control::Command& command, std::string_view name) {
  return std::any_of(command.parameters.begin(), command.parameters.end(),
                     [&](const Parameter& parameter) { return parameter.name == name; });
}

std::vector<Parameter> own_parameters(const control::Command& command) {
  std::vector<Parameter> own;
  const auto flag = [&](std::string name, std::string summary) {
    if (has_parameter(command, name)) return;
    own.push_back(Parameter{
        .name = std::move(name), .type = ParameterType::boolean, .summary = std::move(summary)});
  };
  if (command.starts_run) {
    flag("wait", "wait for the run's end and exit with its result");
    flag("follow", "wait, and show progress and log");
  }
  if (contains(kConfirmed, command.name)) flag("yes", "do not ask");
  if (command.name == "restore.start") {
    flag("plan", "show what would happen and change nothing");
  }
  if (command.name == "repository.key_export") {
    own.push_back(Parameter{.name = "file",
                            .summary = "write the recovery key there (mode 0600, never replacing "
                                       "a file) instead of showing it",
                            .completes = "file"});
  }
  return own;
}

Verb completion_verb() {
  return Verb{
      .words = {"completion"},
      .command = nullptr,
      .summary = "Prints the completion script of a shell.",
      .parameters = {},
      .own = {Parameter{.name = "shell",
                        .required = true,
                        .positional = true,
                        .summary = "which shell",
                        .choices = {"bash", "zsh", "fish"}}},
      .examples = {"completion bash > ~/.local/share/bash-completion/completions/dbbackupctl",
                   "completion fish | source"}};
}

std::vector<Verb> build_verbs() {
  std::vector<Verb> verbs;
  for (const control::Command& command : control::command_table()) {
    if (command.name == "restore.plan") continue;  // typed as `restore --plan`
    verbs.push_back(Verb{.words = util::split(control::command_words(command), ' '),
                         .command = &command,
                         .summary = command.summary,
                         .parameters = command.parameters,
                         .own = own_parameters(command),
                         .examples = command.examples});
  }
  verbs.push_back(completion_verb());
  return verbs;
}

bool is_prefix(std::span<const std::string> words, const Verb& verb) {
  return words.size() <= verb.words.size() &&
         std::equal(words.begin(), words.end(), verb.words.begin());
}

void append_secret_options(const Parameter& secret, std::vector<Option>& options) {
  const std::string name = to_option_name(secret.name);
  const auto add = [&](std::string_view source, std::string placeholder, std::string summary,
                       std::string completes = {}) {
    options.push_back(Option{.name = cat(name, "-", source),
                             .placeholder = std::move(placeholder),
                             .summary = std::move(summary),
                             .completes = std::move(completes)});
  };
  add("stdin", "", cat("read the ", name, " from standard input"));
  add("file", "FILE", cat("read the ", name, " from a file"), "file");
  add("env", "VARIABLE", cat("take the ", name, " from an environment variable"));
  add("credential", "NAME", cat("read the ", name, " from a systemd credential"));
  add("prompt", "", cat("ask for the ", name, " on the terminal, without echo"));
}

Option option_of(const Parameter& parameter) {
  return Option{.name = to_option_name(parameter.name),
                .placeholder = placeholder_of(parameter),
                .summary = parameter.summary,
                .repeatable = parameter.type == ParameterType::strings ||
                              parameter.type == ParameterType::options,
                .required = parameter.required,
                .implicit = parameter.implicit,
                .choices = parameter.choices,
                .completes = parameter.completes};
}

}  // namespace

std::string Verb::spelling() const { return util::join(words, " "); }

bool Verb::has_own(std::string_view name) const {
  return std::any_of(own.begin(), own.end(),
                     [&](const Parameter& parameter) { return parameter.name == name; });
}

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table = build_verbs();
  return table;
}

const Verb* find_verb(std::span<const std::string> words) {
  for (const Verb& verb : verbs()) {
    if (verb.words.size() == words.size() && is_prefix(words, verb)) return &verb;
  }
  return nullptr;
}

std::vector<std::string> next_words(std::span<const std::string> words) {
  std::vector<std::string> next;
  for (const Verb& verb : verbs()) {
    if (verb.words.size() <= words.size() || !is_prefix(words, verb)) continue;
    const std::string& word = verb.words[words.size()];
    if (std::find(next.begin(), next.end(), word) == next.end()) next.push_back(word);
  }
  return next;
}

std::string_view noun_summary(std::string_view noun) {
  for (const auto& [name, summary] : kNouns) {
    if (name == noun) return summary;
  }
  return {};
}

const std::vector<Option>& global_options() {
  static const std::vector<Option> options{
      {.name = "socket",
       .placeholder = "PATH",
       .summary = "the daemon's socket",
       .completes = "file"},
      {.name = "output",
       .letter = 'o',
       .placeholder = "FORMAT",
       .summary = "table (for people), json, jsonl (one object per line) or name",
       .choices = {"table", "json", "jsonl", "name"}},
      {.name = "no-color", .placeholder = "", .summary = "never colour the output"},
      {.name = "quiet", .letter = 'q', .placeholder = "", .summary = "results and errors only"},
      {.name = "help", .letter = 'h', .placeholder = "", .summary = "show help and do nothing"},
      {.name = "version", .placeholder = "", .summary = "show the client's version"},
  };
  return options;
}

std::vector<Option> options_of(const Verb& verb) {
  std::vector<Option> options;
  for (const std::vector<Parameter>* list : {&verb.parameters, &verb.own}) {
    for (const Parameter& parameter : *list) {
      if (parameter.type == ParameterType::secret) {
        append_secret_options(parameter, options);
      } else if (!parameter.positional) {
        options.push_back(option_of(parameter));
      }
    }
  }
  return options;
}

std::vector<Parameter> positionals_of(const Verb& verb) {
  std::vector<Parameter> positionals;
  for (const std::vector<Parameter>* list : {&verb.parameters, &verb.own}) {
    for (const Parameter& parameter : *list) {
      if (parameter.positional) positionals.push_back(parameter);
    }
  }
  return positionals;
}

std::string to_option_name(std::string_view parameter) {
  std::string name(parameter);
  std::replace(name.begin(), name.end(), '_', '-');
  // K=V pairs are one object on the wire and one repeated --option on the command line
  // (interface.md).
  return name == "options" ? "option" : name;
}

std::string spelling_of(const Parameter& parameter) {
  return parameter.positional ? placeholder_of(parameter) : "--" + to_option_name(parameter.name);
}

std::string placeholder_of(const Parameter& parameter) {
  if (parameter.positional) return to_upper(to_option_name(parameter.name));
  for (const auto& [name, placeholder] : kPlaceholders) {
    if (parameter.name == name) return std::string(placeholder);
  }
  switch (parameter.type) {
    case ParameterType::boolean:
      return {};
    case ParameterType::integer:
      return "N";
    case ParameterType::duration:
      return "DURATION";
    case ParameterType::time:
      return "TIME";
    case ParameterType::options:
      return "KEY=VALUE";
    case ParameterType::string:
    case ParameterType::strings:
    case ParameterType::secret:
      break;
  }
  if (!parameter.choices.empty()) return util::join(parameter.choices, "|");
  return parameter.completes.empty() ? "VALUE" : to_upper(parameter.completes);
}

}  // namespace dbbackup::ctl
