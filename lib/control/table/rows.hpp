// The command table's rows, one file per noun, and the few words in which they are written.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "control/command.hpp"

namespace dbbackup::control::table {

using Commands = std::vector<Command>;
using Parameters = std::vector<Parameter>;

Commands database_commands();
Commands repository_commands();
Commands job_commands();  // and the ad-hoc backup
Commands schedule_commands();
Commands run_commands();
Commands artifact_commands();  // and restore
Commands service_commands();   // status, events, daemon

// A required name, given without --name; `completes` is the kind of name.
Parameter positional(std::string name, std::string completes, std::string summary);
Parameter option(std::string name, ParameterType type, std::string summary);
// A string that names something of the kind `completes`.
Parameter reference(std::string name, std::string completes, std::string summary);
Parameter choice(std::string name, std::vector<std::string> choices, std::string summary);
Parameter required(Parameter parameter);
Parameter optional(Parameter parameter);

// Parameters that several nouns share.
Parameter include_option();
Parameter exclude_option();
Parameter backup_type_option();
Parameter parallel_option();
Parameter limit_option(std::string nouns);

}  // namespace dbbackup::control::table
