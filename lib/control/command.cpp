#include "control/command.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "util/error.hpp"
#include "util/text.hpp"
#include "util/time.hpp"

namespace dbbackup::control {

namespace json = util::json;

namespace {

constexpr std::string_view kAccessNames[] = {"viewer", "operator", "admin"};

// Longer words are no typing errors, and comparing them would cost a hostile caller nothing and us
// a lot.
constexpr std::size_t kLongestSuggestedFor = 64;

// One parameter's value on its way from the wire to the handler.
class Checked {
 public:
  Checked(const Parameter& parameter, const json::Value& value, std::string spelled)
      : parameter_(parameter), value_(value), spelled_(std::move(spelled)) {}

  json::Value normalised() const {
    switch (parameter_.type) {
      case ParameterType::string:
        check_choice(text(value_));
        return value_;
      case ParameterType::secret:
        text(value_);
        return value_;
      case ParameterType::integer:
        return integer();
      case ParameterType::boolean:
        if (!value_.is_bool()) wrong("is not true or false");
        return value_;
      case ParameterType::strings:
        if (!value_.is_array()) wrong("is not an array of strings");
        for (const json::Value& item : value_.get_array()) text(item);
        return value_;
      case ParameterType::options:
        if (!value_.is_object()) wrong("is not an object of strings");
        for (const auto& member : value_.get_object()) text(member.value());
        return value_;
      case ParameterType::duration:
        if (!util::parse_duration(text(value_)))
          wrong("is not a duration", "for example 90s, 2h30m or 7d");
        return value_;
      case ParameterType::time:
        if (!util::parse_time(text(value_))) {
          wrong("is not a time", "for example 2026-11-21T09:30:00Z or 2026-11-21");
        }
        return value_;
    }
    return value_;
  }

 private:
  // Never shows the value: it may be a secret.
  [[noreturn]] void wrong(std::string_view what, std::string hint = {}) const {
    throw util::Error(util::ErrorCode::usage, util::cat(spelled_, " ", what), std::move(hint));
  }

  std::string_view text(const json::Value& value) const {
    if (!value.is_string()) wrong(value.is_array() ? "is an array" : "is not a string");
    if (!util::is_valid_utf8(value.get_string())) wrong("contains a NUL character");
    return value.get_string();
  }

  json::Value integer() const {
    std::optional<std::int64_t> number;
    if (value_.is_int64()) number = value_.get_int64();
    if (value_.is_string()) number = util::parse_int(value_.get_string());
    if (!number) wrong("is not a whole number");
    if (*number < 0) wrong("is negative");  // they are counts, all of them
    return *number;
  }

  void check_choice(std::string_view chosen) const {
    const auto& choices = parameter_.choices;
    if (!choices.empty() && std::ranges::find(choices, chosen) == choices.end()) {
      wrong("has a value that is not known", "one of: " + util::join(choices, ", "));
    }
  }

  const Parameter& parameter_;
  const json::Value& value_;
  const std::string spelled_;
};

void refuse_unknown(const Command& command, const json::Object& params) {
  std::vector<std::string> names;
  std::ranges::transform(command.parameters, std::back_inserter(names), &Parameter::name);
  for (const auto& member : params) {
    const std::string_view name = member.key();
    if (std::ranges::find(names, name) != names.end()) continue;
    const auto nearest =
        name.size() > kLongestSuggestedFor ? std::nullopt : util::nearest(name, names);
    throw util::Error(util::ErrorCode::usage,
                      util::cat(command.name, ": there is no parameter '",
                                util::printable(name.substr(0, kLongestSuggestedFor)), "'"),
                      nearest ? util::cat("did you mean '", *nearest, "'?") : "");
  }
}

}  // namespace

std::string_view access_name(Access access) { return kAccessNames[static_cast<int>(access)]; }

std::optional<Access> access_from_name(std::string_view name) {
  for (const Access access : {Access::viewer, Access::operate, Access::admin}) {
    if (access_name(access) == name) return access;
  }
  return std::nullopt;
}

std::string command_words(const Command& command) {
  // Nouns with one natural verb need no verb on a command line.
  static const std::map<std::string, std::string, std::less<>> kShort = {
      {"backup.start", "backup"}, {"restore.start", "restore"}, {"restore.plan", "restore"},
      {"status.show", "status"},  {"events.list", "events"},
  };
  const auto found = kShort.find(command.name);
  if (found != kShort.end()) return found->second;

  std::string words = command.name;
  std::ranges::replace(words, '.', ' ');
  std::ranges::replace(words, '_', '-');
  constexpr std::string_view kKey = "repository key-";  // a noun within a noun
  if (words.starts_with(kKey)) words[kKey.size() - 1] = ' ';
  return words;
}

std::optional<std::string> nearest_command(std::string_view name) {
  if (name.size() > kLongestSuggestedFor) return std::nullopt;
  std::vector<std::string> names;
  std::ranges::transform(command_table(), std::back_inserter(names), &Command::name);
  return util::nearest(name, names);
}

std::string wire_spelling(const Command& command, const Parameter& parameter) {
  return util::cat(command.name, ": parameter '", parameter.name, "'");
}

json::Object check_parameters(const Command& command, const json::Object& params,
                              const Spelling& spelling) {
  refuse_unknown(command, params);
  json::Object checked;
  for (const Parameter& parameter : command.parameters) {
    const json::Value* value = json::find(params, parameter.name);
    if (value == nullptr || value->is_null()) {
      if (!parameter.required) continue;
      throw util::Error(util::ErrorCode::usage,
                        util::cat(spelling(command, parameter), " is missing"),
                        util::cat(parameter.name, ": ", parameter.summary));
    }
    checked[parameter.name] = Checked(parameter, *value, spelling(command, parameter)).normalised();
  }
  return checked;
}

}  // namespace dbbackup::control
