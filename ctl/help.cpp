#include "ctl/help.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::ctl {

using control::Parameter;
using util::cat;

namespace {

constexpr std::size_t kWidth = 80;
// A first column wider than this gets a line of its own.
constexpr std::size_t kWidestTerm = 30;

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  for (const std::string& word : util::split(text, ' ')) {
    if (column > indent && column + 1 + word.size() > kWidth) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += " ";
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

std::string section(std::string_view title, const Entries& entries) {
  if (entries.empty()) return {};
  std::size_t widest = 0;
  for (const auto& [term, text] : entries) {
    if (term.size() <= kWidestTerm) widest = std::max(widest, term.size());
  }
  const std::size_t indent = widest + 4;
  std::string result = cat("\n", title, ":\n");
  for (const auto& [term, text] : entries) {
    result += "  " + term;
    result += term.size() <= widest ? std::string(indent - term.size() - 2, ' ')
                                    : "\n" + std::string(indent, ' ');
    result += wrapped(text, indent) + "\n";
  }
  return result;
}

std::string examples_section(const std::vector<std::string>& examples) {
  if (examples.empty()) return {};
  std::string result = "Examples:\n";
  for (const std::string& example : examples) result += cat("  dbbackupctl ", example, "\n");
  return result + "\n";
}

std::string option_term(const Option& option) {
  std::string term;
  if (option.letter != 0) term = cat("-", std::string_view(&option.letter, 1), ", ");
  term += "--" + option.name;
  if (option.placeholder.empty()) return term;
  return option.implicit.empty() ? cat(term, " ", option.placeholder)
                                 : cat(term, "[=", option.placeholder, "]");
}

Entries option_entries(const std::vector<Option>& options) {
  Entries entries;
  for (const Option& option : options) {
    std::string text = option.summary;
    if (option.required) text += " (required)";
    if (option.repeatable) text += " (may be repeated)";
    // Choices that the placeholder shows already need no second mention.
    if (!option.choices.empty() && option.placeholder.find('|') == std::string::npos &&
        option.letter == 0) {
      text += cat(" (", util::join(option.choices, ", "), ")");
    }
    entries.emplace_back(option_term(option), text);
  }
  return entries;
}

Entries argument_entries(const Verb& verb) {
  Entries entries;
  for (const Parameter& parameter : positionals_of(verb)) {
    std::string text = parameter.summary;
    if (!parameter.choices.empty()) text += cat(": ", util::join(parameter.choices, ", "));
    entries.emplace_back(placeholder_of(parameter), text);
  }
  return entries;
}

std::string usage_line(const Verb& verb) {
  std::string line = cat("Usage: dbbackupctl ", verb.spelling());
  for (const Parameter& parameter : positionals_of(verb)) {
    const std::string name = placeholder_of(parameter);
    line += parameter.required ? cat(" ", name) : cat(" [", name, "]");
  }
  bool more = false;
  for (const Option& option : options_of(verb)) {
    if (option.required)
      line += cat(" ", option_term(option));
    else
      more = true;
  }
  return line + (more ? " [OPTION]...\n" : "\n");
}

std::string verb_help(const Verb& verb) {
  return examples_section(verb.examples) + usage_line(verb) + "\n" + wrapped(verb.summary, 0) +
         "\n" + section("Arguments", argument_entries(verb)) +
         section("Options", option_entries(options_of(verb))) +
         "\nGlobal options: dbbackupctl --help\n";
}

std::vector<const Verb*> verbs_below(std::span<const std::string> words) {
  std::vector<const Verb*> below;
  for (const Verb& verb : verbs()) {
    if (verb.words.size() > words.size() &&
        std::equal(words.begin(), words.end(), verb.words.begin())) {
      below.push_back(&verb);
    }
  }
  return below;
}

std::string noun_help(std::span<const std::string> words) {
  const std::string path = util::join({words.begin(), words.end()}, " ");
  std::vector<std::string> examples;
  Entries entries;
  for (const Verb* verb : verbs_below(words)) {
    if (!verb->examples.empty() && examples.size() < 4) examples.push_back(verb->examples.front());
    entries.emplace_back(verb->spelling().substr(path.size() + 1), verb->summary);
  }
  std::string about(noun_summary(words.front()));
  return examples_section(examples) + cat("Usage: dbbackupctl ", path, " VERB ...\n") +
         (about.empty() ? "" : cat("\n", words.front(), ": ", about, "\n")) +
         section("Verbs", entries) +
         cat("\nMore about a verb: dbbackupctl ", path, " VERB --help\n");
}

std::string program_help() {
  const std::vector<std::string> examples{"database add shop sqlite:///srv/shop/shop.db",
                                          "backup shop --wait --follow", "artifact list",
                                          "restore latest --to shop2 --plan", "status"};
  Entries nouns;
  for (const std::string& noun : next_words({})) {
    nouns.emplace_back(noun, std::string(noun_summary(noun)));
  }
  return examples_section(examples) +
         "Usage: dbbackupctl [OPTION]... NOUN VERB ...\n\n"
         "Controls the backup service dbbackupd.\n" +
         section("Nouns", nouns) + section("Global options", option_entries(global_options())) +
         "\nMore: dbbackupctl NOUN --help, dbbackupctl NOUN VERB --help, man dbbackupctl\n";
}

}  // namespace

std::string help_text(std::span<const std::string> words) {
  if (words.empty()) return program_help();
  const Verb* verb = find_verb(words);
  return verb != nullptr ? verb_help(*verb) : noun_help(words);
}

std::string version_text() { return "dbbackupctl " DBBACKUP_VERSION; }

}  // namespace dbbackup::ctl
