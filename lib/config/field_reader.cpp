#include "config/field_reader.hpp"

#include <algorithm>
#include <array>

#include "util/text.hpp"

namespace dbbackup::config {

using util::cat;

namespace {

// Sizes are shown in the unit in which they are whole: limits are round numbers.
std::string exact_size(std::uint64_t bytes) {
  constexpr std::array kUnits{"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return cat(bytes, kUnits[unit]);
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The shape of an IANA name; whether the machine knows the zone is for the schedule room to say. A
// name becomes part of a path below /usr/share/zoneinfo, so it must not lead out of there.
bool looks_like_zone(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '/' || name.back() == '/') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '_' || c == '-' || c == '+';
  });
}

std::optional<AccessRule> parse_access_rule(std::string_view text) {
  AccessRule rule;
  if (text.starts_with("user:")) {
    rule.kind = AccessRule::Kind::user;
  } else if (text.starts_with("group:")) {
    rule.kind = AccessRule::Kind::group;
  } else {
    return std::nullopt;
  }
  rule.name = text.substr(text.find(':') + 1);
  const bool usable = !rule.name.empty() && rule.name.find_first_of(" :/") == std::string::npos &&
                      !has_control_character(rule.name);
  return usable ? std::optional(rule) : std::nullopt;
}

}  // namespace

void FieldReader::read(const Node& root, const std::vector<Field>& fields) {
  if (root.kind == Node::Kind::null) return;
  if (root.kind != Node::Kind::mapping) {
    diagnose(root, "the file must consist of lines `key: value`", {});
    return;
  }
  read_mapping(root, {}, fields);
}

ReadValue FieldReader::section(const std::vector<Field>& fields) {
  return [this, &fields](const Node& value, const std::string& path) {
    // A section whose keys are all commented out is an empty one.
    if (value.kind == Node::Kind::null) return;
    if (value.kind != Node::Kind::mapping) {
      wrong(value, path, "a section with keys of its own");
      return;
    }
    read_mapping(value, cat(path, "."), fields);
  };
}

void FieldReader::read_mapping(const Node& node, const std::string& prefix,
                               const std::vector<Field>& fields) {
  for (const auto& entry : node.entries) {
    const Node& key = *entry.first;
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& known) { return known.key == key.text; });
    if (field == fields.end()) {
      unknown_key(key, prefix, fields);
    } else {
      field->read(*entry.second, cat(prefix, field->key));
    }
  }
}

void FieldReader::unknown_key(const Node& key, const std::string& prefix,
                              const std::vector<Field>& fields) {
  std::vector<std::string> known;
  known.reserve(fields.size());
  for (const Field& field : fields) known.push_back(field.key);
  const auto near = util::nearest(util::to_lower(key.text), known);
  diagnose(key, cat("unknown key ", in_quotes(cat(prefix, key.text))),
           near ? cat("did you mean \"", *near, "\"?")
                : cat("known here are: ", util::join(known, ", ")));
}

ReadValue FieldReader::integer(unsigned& out, unsigned least, unsigned most) {
  return [this, &out, least, most](const Node& value, const std::string& path) {
    const std::string wanted =
        least == most ? std::to_string(least) : cat("a whole number from ", least, " to ", most);
    const std::string* written = text(value, path, wanted);
    if (written == nullptr) return;
    const auto number = util::parse_int(*written);
    if (number && value.quoted) {
      wrong(value, path, wanted, "write the number without quotes");
    } else if (!number || *number < least || *number > most) {
      wrong(value, path, wanted);
    } else {
      out = static_cast<unsigned>(*number);
    }
  };
}

ReadValue FieldReader::size(std::uint64_t& out, std::uint64_t least, std::uint64_t most) {
  return [this, &out, least, most](const Node& value, const std::string& path) {
    const std::string wanted = cat("a size from ", exact_size(least), " to ", exact_size(most));
    const std::string* written = text(value, path, wanted);
    if (written == nullptr) return;
    const auto bytes = util::parse_size(*written);
    if (!bytes) {
      wrong(value, path, wanted, "units are KiB, MiB, GiB, TiB and KB, MB, GB, TB");
    } else if (*bytes < least || *bytes > most) {
      wrong(value, path, wanted);
    } else {
      out = *bytes;
    }
  };
}

ReadValue FieldReader::duration(util::Milliseconds& out, util::Milliseconds least,
                                util::Milliseconds most) {
  return [this, &out, least, most](const Node& value, const std::string& path) {
    const std::string wanted =
        cat("a duration from ", util::format_duration(least), " to ", util::format_duration(most));
    const std::string* written = text(value, path, wanted);
    if (written == nullptr) return;
    const auto time = util::parse_duration(*written);
    if (!time) {
      wrong(value, path, wanted, "units are ms, s, m, h, d, w and y, as in 90s or 2h30m");
    } else if (*time < least || *time > most) {
      wrong(value, path, wanted);
    } else {
      out = *time;
    }
  };
}

ReadValue FieldReader::path(std::filesystem::path& out, std::size_t longest) {
  return [this, &out, longest](const Node& value, const std::string& path) {
    constexpr std::string_view kWanted = "an absolute path";
    const std::string* written = text(value, path, kWanted);
    if (written == nullptr) return;
    if (!written->starts_with('/') || has_control_character(*written)) {
      const bool home = written->starts_with('~');
      wrong(value, path, kWanted,
            home ? "~ is not expanded here; write the folder's full path" : "");
    } else if (written->size() > longest) {
      wrong(value, path, cat("a path of at most ", longest, " bytes"));
    } else {
      out = *written;
    }
  };
}

ReadValue FieldReader::path(std::optional<std::filesystem::path>& out) {
  return [this, &out](const Node& value, const std::string& path_name) {
    std::filesystem::path found;
    path(found)(value, path_name);
    if (!found.empty()) out = found;
  };
}

ReadValue FieldReader::log_level(util::Severity& out) {
  return [this, &out](const Node& value, const std::string& path) {
    using util::Severity;
    constexpr std::array kLevels{Severity::debug, Severity::info, Severity::warning,
                                 Severity::error};
    std::vector<std::string> names;
    for (const Severity level : kLevels) names.emplace_back(util::severity_name(level));
    const std::string wanted = cat("one of ", util::join(names, ", "));
    const std::string* written = text(value, path, wanted);
    if (written == nullptr) return;
    const auto found = std::find(names.begin(), names.end(), *written);
    if (found != names.end()) {
      out = kLevels.at(static_cast<std::size_t>(found - names.begin()));
      return;
    }
    const auto near = util::nearest(util::to_lower(*written), names);
    wrong(value, path, wanted, near ? cat("did you mean \"", *near, "\"?") : "");
  };
}

ReadValue FieldReader::timezone(std::optional<std::string>& out) {
  return [this, &out](const Node& value, const std::string& path) {
    constexpr std::string_view kWanted = "an IANA time zone name";
    const std::string* written = text(value, path, kWanted);
    if (written == nullptr) return;
    if (looks_like_zone(*written)) {
      out = *written;
    } else {
      wrong(value, path, kWanted, "for example Europe/Berlin or UTC; timedatectl list-timezones");
    }
  };
}

ReadValue FieldReader::access_rules(std::vector<AccessRule>& out) {
  return [this, &out](const Node& value, const std::string& path) {
    constexpr std::string_view kWanted = "a list of user:NAME and group:NAME";
    constexpr const char* kHint = "for example [user:anna, group:dba]";
    if (value.kind != Node::Kind::sequence) {
      wrong(value, path, kWanted, kHint);
      return;
    }
    std::vector<AccessRule> rules;
    for (const NodePointer& item : value.items) {
      auto rule = item->kind == Node::Kind::scalar ? parse_access_rule(item->text) : std::nullopt;
      if (rule) {
        rules.push_back(std::move(*rule));
      } else {
        wrong(*item, path, kWanted, kHint);
      }
    }
    out = std::move(rules);
  };
}

const std::string* FieldReader::text(const Node& value, const std::string& path,
                                     std::string_view wanted) {
  if (value.kind == Node::Kind::scalar) return &value.text;
  wrong(value, path, wanted);
  return nullptr;
}

void FieldReader::wrong(const Node& value, const std::string& path, std::string_view wanted,
                        std::string hint) {
  std::string got;
  switch (value.kind) {
    case Node::Kind::null:
      got = "nothing";
      if (hint.empty()) hint = "give a value, or remove the key for the default";
      break;
    case Node::Kind::scalar:
      got = in_quotes(value.text);
      break;
    case Node::Kind::sequence:
      got = "a list";
      break;
    case Node::Kind::mapping:
      got = "a section";
      break;
  }
  diagnose(value, cat(path, " must be ", wanted, ", not ", got), std::move(hint));
}

void FieldReader::diagnose(const Node& node, std::string message, std::string hint) {
  diagnostics_.push_back(
      {source_, node.position.line, node.position.column, std::move(message), std::move(hint)});
}

}  // namespace dbbackup::config
