#include "control/command.hpp"
#include "util/text.hpp"

namespace dbbackup::control {

using util::cat;

namespace {

std::string_view type_name(ParameterType type) {
  switch (type) {
    case ParameterType::string:
      return "string";
    case ParameterType::integer:
      return "int";
    case ParameterType::boolean:
      return "bool";
    case ParameterType::strings:
      return "[string]";
    case ParameterType::options:
      return "object of strings";
    case ParameterType::duration:
      return "duration";
    case ParameterType::time:
      return "time";
    case ParameterType::secret:
      return "secret";
  }
  return "";
}

std::string render_parameters(const Command& command) {
  if (command.parameters.empty()) return "No parameters.\n\n";
  std::string out = "| parameter | type | required | meaning |\n|---|---|---|---|\n";
  for (const Parameter& parameter : command.parameters) {
    out += cat("| `", parameter.name, "` | ", type_name(parameter.type), " | ",
               parameter.required ? "yes" : "", " | ", parameter.summary);
    if (!parameter.choices.empty()) {
      out += cat(": `", util::join(parameter.choices, "`, `"), "`");
    }
    out += " |\n";
  }
  return out + "\n";
}

std::string render_command(const Command& command) {
  std::string out = cat("### ", command.name, "\n\n", command.summary,
                        "\n\nFor: ", access_name(command.access), ".");
  if (command.mutating) out += " Leaves an event.";
  if (command.starts_run) out += " Starts a run and answers at once; wait for it with `run.wait`.";
  out += cat("\n\n", render_parameters(command), "Result: `", command.result.text(), "`\n\n");
  out += "```\n";
  for (const std::string& example : command.examples) out += cat("dbbackupctl ", example, "\n");
  return out + "```\n\n";
}

}  // namespace

std::string render_protocol_reference() {
  std::string out = "## Methods\n\n";
  for (const Command& command : command_table()) out += render_command(command);
  out += "## Named shapes\n\n";
  for (const auto& [name, shape] : named_shapes()) {
    out += cat("- **", name, "**: `", shape.text(), "`\n");
  }
  return out;
}

}  // namespace dbbackup::control
