#include "ctl/completion.hpp"

#include <algorithm>
#include <optional>

#include "ctl/format.hpp"
#include "ctl/text_width.hpp"
#include "ctl/verb.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using control::Parameter;
using control::ParameterType;
using util::cat;

namespace {

constexpr util::Milliseconds kPatience{1000};

// Where the cursor is: behind which words of a command, which options and how many positionals.
struct Cursor {
  std::vector<std::string> path;
  const Verb* verb = nullptr;
  std::vector<std::string> used;  // names of options that stand on the line
  std::size_t positionals = 0;
  std::optional<Option> expecting;  // the option whose value is typed now
  bool only_words = false;          // behind "--"
};

std::vector<Option> options_at(const Cursor& cursor) {
  std::vector<Option> options =
      cursor.verb != nullptr ? options_of(*cursor.verb) : std::vector<Option>{};
  options.insert(options.end(), global_options().begin(), global_options().end());
  return options;
}

std::optional<Option> option_named(const Cursor& cursor, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  for (const Option& option : options_at(cursor)) {
    if (name == "--" + option.name) return option;
    if (option.letter != 0 && name.size() == 2 && name[0] == '-' && name[1] == option.letter) {
      return option;
    }
  }
  return std::nullopt;
}

void step(Cursor& cursor, const std::string& word) {
  if (cursor.expecting) {
    cursor.expecting.reset();
  } else if (word == "--" && !cursor.only_words) {
    cursor.only_words = true;
  } else if (!cursor.only_words && word.size() > 1 && word.front() == '-') {
    const auto option = option_named(cursor, word);
    if (!option) return;
    cursor.used.push_back(option->name);
    const bool has_value = word.find('=') != std::string::npos || !option->implicit.empty();
    if (!option->placeholder.empty() && !has_value) cursor.expecting = option;
  } else if (cursor.verb == nullptr || !next_words(cursor.path).empty()) {
    if (cursor.path.empty() && word == "help") return;
    cursor.path.push_back(word);
    cursor.verb = find_verb(cursor.path);
  } else {
    ++cursor.positionals;
  }
}

std::vector<Candidate> values(const std::vector<std::string>& choices, const std::string& completes,
                              const NameLookup& names) {
  if (completes == "file") return {{std::string(kFileCandidate)}};
  if (!completes.empty()) return names(completes);
  std::vector<Candidate> candidates;
  for (const std::string& choice : choices) candidates.push_back({choice});
  return candidates;
}

std::vector<Candidate> option_candidates(const Cursor& cursor) {
  std::vector<Candidate> candidates;
  for (const Option& option : options_at(cursor)) {
    const bool used =
        std::find(cursor.used.begin(), cursor.used.end(), option.name) != cursor.used.end();
    if (!used || option.repeatable) candidates.push_back({"--" + option.name, option.summary});
  }
  return candidates;
}

std::vector<Candidate> word_candidates(const Cursor& cursor) {
  std::vector<Candidate> candidates;
  for (const std::string& word : next_words(cursor.path)) {
    std::vector<std::string> path = cursor.path;
    path.push_back(word);
    const Verb* verb = find_verb(path);
    candidates.push_back({word, cursor.path.empty() || verb == nullptr
                                    ? std::string(noun_summary(word))
                                    : verb->summary});
  }
  if (cursor.path.empty()) candidates.push_back({"help", "show help"});
  return candidates;
}

std::vector<Candidate> positional_candidates(const Cursor& cursor, const NameLookup& names) {
  const std::vector<Parameter> positionals = positionals_of(*cursor.verb);
  if (positionals.empty()) return {};
  const bool last_repeats = positionals.back().type == ParameterType::strings;
  if (cursor.positionals >= positionals.size() && !last_repeats) return {};
  const Parameter& parameter = positionals[std::min(cursor.positionals, positionals.size() - 1)];
  return values(parameter.choices, parameter.completes, names);
}

// Keeps what begins with the typed text and puts `prefix` ("--output=") back in front of it.
std::vector<Candidate> matching(std::vector<Candidate> candidates, std::string_view typed,
                                const std::string& prefix) {
  std::vector<Candidate> kept;
  for (Candidate& candidate : candidates) {
    if (candidate.text == kFileCandidate) {
      kept.push_back(std::move(candidate));
    } else if (candidate.text.starts_with(typed)) {
      kept.push_back({prefix + candidate.text, std::move(candidate.description)});
    }
  }
  return kept;
}

std::string describe(const std::string& kind, const json::Object& object) {
  if (kind == "run") return cat(text_of(object, "kind"), " ", text_of(object, "state"));
  if (kind == "artifact")
    return cat(text_of(object, "database"), " ", text_of(object, "created_at"));
  if (kind == "job") return text_of(object, "database");
  if (kind == "schedule") return text_of(object, "cron");
  return text_of(object, "url");
}

// The list of a reply to <kind>.list.
std::vector<Candidate> names_in(const std::string& kind, const json::Object& reply) {
  std::vector<Candidate> candidates;
  if (kind == "artifact") candidates.push_back({"latest", "the newest artifact"});
  for (const auto& member : reply) {
    const json::Array* list = member.value().if_array();
    if (list == nullptr) continue;
    for (const json::Value& value : *list) {
      if (!value.is_object()) continue;
      const json::Object& object = value.get_object();
      const bool by_id = kind == "run" || kind == "artifact";
      const auto name = json::get_string(object, by_id ? "id" : "name");
      // A name that a line cannot carry is left to be typed by hand.
      if (name && safe_text(*name) == *name) candidates.push_back({*name, describe(kind, object)});
    }
  }
  return candidates;
}

}  // namespace

std::vector<Candidate> complete(const std::vector<std::string>& words, const NameLookup& names) {
  if (words.empty()) return {};
  Cursor cursor;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) step(cursor, words[i]);
  const std::string& typed = words.back();
  if (cursor.expecting) {
    return matching(values(cursor.expecting->choices, cursor.expecting->completes, names), typed,
                    "");
  }
  if (!cursor.only_words && typed.starts_with("-")) {
    const std::size_t equals = typed.find('=');
    if (equals == std::string::npos) return matching(option_candidates(cursor), typed, "");
    const auto option = option_named(cursor, typed);
    if (!option) return {};
    return matching(values(option->choices, option->completes, names), typed.substr(equals + 1),
                    typed.substr(0, equals + 1));
  }
  if (!next_words(cursor.path).empty()) return matching(word_candidates(cursor), typed, "");
  if (cursor.verb == nullptr) return {};
  return matching(positional_candidates(cursor, names), typed, "");
}

NameLookup names_from_daemon(const Call& call, const util::Clock& clock) {
  return [&call, &clock](const std::string& kind) -> std::vector<Candidate> {
    const std::string method = cat(kind, ".list");
    const control::Command* command = control::find_command(method);
    if (command == nullptr) return {};
    const util::SteadyPoint begin = clock.steady_now();
    try {
      const json::Value reply =
          call(method, {}, {}, [&] { return clock.steady_now() - begin < kPatience; });
      return reply.is_object() ? names_in(kind, reply.get_object()) : std::vector<Candidate>{};
    } catch (const util::Error&) {
      // Somebody is typing; a message in the middle of his line would help nobody.
      return {};
    }
  };
}

std::string completion_lines(const std::vector<Candidate>& candidates) {
  std::string lines;
  for (const Candidate& candidate : candidates) {
    lines += candidate.text;
    if (!candidate.description.empty()) lines += "\t" + safe_text(candidate.description);
    lines += "\n";
  }
  return lines;
}

}  // namespace dbbackup::ctl
