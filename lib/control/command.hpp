// The command table: every method of the control socket as data.
//
// One row says what a method is called, who may call it, what it takes and what it answers. The
// same rows drive dispatch, authorisation and argument checking in the daemon, the options and help
// of the client, completion, and PROTOCOL.md. Rows carry no code: the daemon binds a handler to
// each name (server.hpp), the client renders the reply.
//
// Threads: immutable after start.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/shape.hpp"
#include "util/json.hpp"

namespace dbbackup::control {

// Ordered: a caller may use every command of his own class and of the classes before it.
enum class Access { viewer, operate, admin };
std::string_view access_name(Access access);  // "viewer", "operator", "admin"
std::optional<Access> access_from_name(std::string_view name);

enum class ParameterType {
  string,
  integer,   // whole number from 0 on, also accepted as decimal text from the client
  boolean,   // a flag on the command line
  strings,   // repeatable option; JSON array of strings
  options,   // repeatable K=V; JSON object of strings
  duration,  // text in the grammar of util::parse_duration
  time,      // RFC 3339 text
  secret,  // never on a command line: the client reads it from stdin, file, environment, credential
           // or a prompt
};

struct Parameter {
  std::string
      name;  // snake_case; the client's option is the same with dashes: keep_last -> --keep-last
  ParameterType type = ParameterType::string;
  bool required = false;
  bool positional = false;  // given without --name, in table order
  std::string summary;
  std::vector<std::string> choices = {};  // for string: the only values allowed
  std::string completes =
      {};  // what kind of name it is, for completion: "database", "job", "artifact", ...
  std::string implicit =
      {};  // what the option means without a value: --read-data is --read-data=100
  bool holds_secrets = false;  // for options: values of some (is_secret_option) are never typed
};

struct Command {
  std::string name;     // "job.add": noun.verb
  std::string summary;  // one sentence
  Access access = Access::viewer;
  bool mutating = false;  // leaves an event in the audit trail
  std::vector<Parameter> parameters;
  Shape result;                            // what the reply's `result` looks like
  std::vector<std::string> examples = {};  // command lines without the program's name
  bool starts_run =
      false;  // answers {"run": Run} at once; the client adds --wait and --follow (run.wait)
};

// All commands, in the order in which help shows them.
const std::vector<Command>& command_table();
const Command* find_command(std::string_view name);
// The command's name that was probably meant.
std::optional<std::string> nearest_command(std::string_view name);

// The words of the command line that stand for the method: "repository.key_export" is "repository
// key export", "backup.start" is "backup". restore.plan is `restore` with --plan and has the words
// "restore".
std::string command_words(const Command& command);

// How errors speak of a parameter: `job.add: parameter 'keep_last'` where it came by the wire. The
// client says what was typed.
using Spelling = std::function<std::string(const Command&, const Parameter&)>;
std::string wire_spelling(const Command& command, const Parameter& parameter);

// Whether the value of a storage option is a secret: secret_key, account_key, sas_token, ...
bool is_secret_option(std::string_view option);

// Checks `params` against the row: unknown names, missing ones, wrong types, values outside
// `choices`. Returns them normalised (decimal text to integers, null to absent, absent booleans
// stay absent). Errors: usage, naming the parameter and, for an unknown one, the nearest known name
// in the hint.
util::json::Object check_parameters(const Command& command, const util::json::Object& params,
                                    const Spelling& spelling = wire_spelling);

// PROTOCOL.md's generated part: one section per command.
std::string render_protocol_reference();

}  // namespace dbbackup::control
