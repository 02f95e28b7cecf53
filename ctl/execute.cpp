// What happens between the parsed line and the exit status, in the order in which a person would
// tell it: get the secrets, check the parameters, ask before what cannot be undone, call the
// daemon, show the answer or follow the run.

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "ctl/completion.hpp"
#include "ctl/context.hpp"
#include "ctl/follow.hpp"
#include "ctl/secrets.hpp"
#include "ctl/views.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using control::Parameter;
using control::ParameterType;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

void add_secrets(const Invocation& invocation, const Context& context, json::Object& params) {
  for (const Parameter& parameter : invocation.verb->parameters) {
    if (parameter.type != ParameterType::secret) continue;
    const auto given = invocation.secrets.find(parameter.name);
    if (given == invocation.secrets.end() && !parameter.required) continue;
    const SecretSource source =
        given != invocation.secrets.end() ? given->second : SecretSource{"prompt", ""};
    params[parameter.name] = read_secret_from(source, parameter.name, context.terminal,
                                              context.environment, context.input);
  }
  for (const auto& [parameter, option, source] : invocation.option_secrets) {
    json::Value& options = params[parameter];
    if (!options.is_object()) options = json::Object{};
    options.get_object()[option] =
        read_secret_from(source, option, context.terminal, context.environment, context.input);
  }
}

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::refused, cat(what, " needs a confirmation"),
              "add --yes where nobody can be asked");
}

void confirm_replace(const std::string& target, const Context& context) {
  const std::string what = cat("replacing what database ", util::printable(target), " holds");
  if (!context.terminal.input) refuse(what);
  const std::string answer =
      context.terminal.ask(cat("This drops what database ", util::printable(target),
                               " holds now. Type its name to go on: "));
  if (answer != target) throw Error(ErrorCode::refused, cat(what, " was not confirmed"));
}

void confirm_removal(const Invocation& invocation, const Context& context) {
  std::vector<std::string> names;
  for (const Parameter& parameter : positionals_of(*invocation.verb)) {
    names.push_back(json::get_string(invocation.params, parameter.name).value_or(""));
  }
  const std::string what =
      cat(invocation.verb->spelling(), " ", util::printable(util::join(names, " ")));
  if (!context.terminal.input) refuse(what);
  const std::string answer =
      util::to_lower(util::trim(context.terminal.ask(cat(what, "? [y/N] "))));
  if (answer != "y" && answer != "yes") {
    throw Error(ErrorCode::refused, cat(what, " was not confirmed"));
  }
}

// interface.md "Restore guards"; a restore that replaces nothing needs no confirmation.
void confirm(const control::Command& command, const Invocation& invocation, const Context& context,
             json::Object& params) {
  if (command.name == "restore.start") {
    if (json::get_string(params, "mode").value_or("create") != "replace") return;
    if (!json::get_bool(params, "yes").value_or(false)) {
      confirm_replace(json::get_string(params, "to").value_or(""), context);
    }
    params["yes"] = true;
  } else if (invocation.verb->has_own("yes") && !invocation.flag("yes")) {
    confirm_removal(invocation, context);
  }
}

// The command that is called: `restore --plan` is typed as one verb and is a method of its own.
const control::Command& command_of(const Invocation& invocation) {
  if (!invocation.flag("plan")) return *invocation.verb->command;
  const control::Command* plan = control::find_command("restore.plan");
  if (plan == nullptr) throw Error(ErrorCode::internal, "the command table has no restore.plan");
  return *plan;
}

// Before a key is made that nobody would see.
void require_writable_place(const std::string& path) {
  const std::filesystem::path file = std::filesystem::absolute(path);
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    throw util::Error(util::ErrorCode::already_exists, cat(path, " exists already"),
                      "name a file that does not exist; nothing is ever overwritten");
  }
  if (::access(file.parent_path().c_str(), W_OK) != 0) {
    throw util::system_error(cat("cannot write into ", file.parent_path().string()), errno);
  }
}

// A recovery key goes into a file that nobody else can read, and replaces nothing.
void save_recovery_key(const json::Object& reply, const std::string& path, const Context& context) {
  const auto key = json::get_string(reply, "recovery_key");
  if (!key) throw Error(ErrorCode::internal, "the daemon's answer holds no recovery key");
  if (!util::create_file_atomically(path, util::as_bytes(*key + "\n"))) {
    throw Error(ErrorCode::already_exists, cat("there is a file ", path, " already"),
                "choose another name; a key is never overwritten");
  }
  context.out.note(
      cat("recovery key written to ", path, "; keep a copy of it away from this machine"));
}

int announce_run(const json::Object& reply, const Context& context) {
  const json::Object& run = item(reply, "run");
  if (context.out.format() != Format::table) {
    context.out.reply(reply);
    return 0;
  }
  const std::string id = json::get_string(run, "id").value_or("");
  context.out.line(id);
  context.out.note(cat("started; watch it with: dbbackupctl run wait ", id, " --follow"));
  return 0;
}

int show_reply(const control::Command& command, const json::Object& reply, const Context& context) {
  const View* view = find_view(command.name);
  if (context.out.format() == Format::table && view != nullptr)
    view->show(reply, context);
  else
    context.out.reply(reply);
  // A test that found something is an answer, but not a success.
  const json::Object* test = json::get_object(reply, "test");
  return test != nullptr && !json::get_bool(*test, "ok").value_or(true) ? 1 : 0;
}

int call_command(const Invocation& invocation, const Context& context) {
  const control::Command& command = command_of(invocation);
  json::Object params = invocation.params;
  add_secrets(invocation, context, params);
  params = control::check_parameters(
      command, params, [](const control::Command& called, const Parameter& parameter) {
        return cat(control::command_words(called), ": ", spelling_of(parameter));
      });
  confirm(command, invocation, context, params);

  if (command.name == "run.wait") return wait_for_run(params, context);
  if (json::get_bool(params, "follow").value_or(false)) {
    return stream(command.name, params, context);
  }
  if (const auto path = json::get_string(invocation.own, "file")) require_writable_place(*path);
  const json::Object reply = context.request(command.name, params);
  if (const auto path = json::get_string(invocation.own, "file")) {
    save_recovery_key(reply, *path, context);
    return 0;
  }
  if (!command.starts_run || json::get_object(reply, "run") == nullptr) {
    return show_reply(command, reply, context);
  }
  if (!invocation.flag("wait") && !invocation.flag("follow")) return announce_run(reply, context);
  return wait_for_run({{"run", item(reply, "run").at("id")}, {"follow", invocation.flag("follow")}},
                      context);
}

}  // namespace

int execute(const Invocation& invocation, const Context& context) {
  if (invocation.verb->command != nullptr) return call_command(invocation, context);
  context.out.raw(completion_script(json::get_string(invocation.own, "shell").value_or("")));
  return 0;
}

}  // namespace dbbackup::ctl
