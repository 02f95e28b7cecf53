#include "control/table/rows.hpp"

#include <utility>

#include "util/text.hpp"

namespace dbbackup::control::table {

using Type = ParameterType;

Parameter positional(std::string name, std::string completes, std::string summary) {
  return {.name = std::move(name),
          .type = Type::string,
          .required = true,
          .positional = true,
          .summary = std::move(summary),
          .completes = std::move(completes)};
}

Parameter option(std::string name, ParameterType type, std::string summary) {
  return {.name = std::move(name), .type = type, .summary = std::move(summary)};
}

Parameter reference(std::string name, std::string completes, std::string summary) {
  return {.name = std::move(name),
          .type = Type::string,
          .summary = std::move(summary),
          .completes = std::move(completes)};
}

Parameter choice(std::string name, std::vector<std::string> choices, std::string summary) {
  return {.name = std::move(name),
          .type = Type::string,
          .summary = std::move(summary),
          .choices = std::move(choices)};
}

Parameter required(Parameter parameter) {
  parameter.required = true;
  return parameter;
}

Parameter optional(Parameter parameter) {
  parameter.required = false;
  return parameter;
}

Parameter include_option() {
  return option("include", Type::strings,
                "only the tables, collections or files that match this pattern (default: all)");
}

Parameter exclude_option() {
  return option("exclude", Type::strings,
                "leave out what matches this pattern, also when included");
}

Parameter backup_type_option() {
  return choice("type", {"full", "differential"}, "type of the artifact (default: full)");
}

Parameter parallel_option() {
  return option("parallel", Type::integer, "how many streams at once (default: the daemon's)");
}

Parameter limit_option(std::string nouns) {
  return option("limit", Type::integer, util::cat("at most this many ", nouns, ", the newest"));
}

}  // namespace dbbackup::control::table
