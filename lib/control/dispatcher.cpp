#include "control/dispatcher.hpp"

#include <utility>

#include "util/text.hpp"

namespace dbbackup::control {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

Dispatcher::Dispatcher(Handlers handlers, Audit audit, util::Logger log)
    : handlers_(std::move(handlers)), audit_(std::move(audit)), log_(std::move(log)) {
  for (const Command& command : command_table()) {
    if (!handlers_.contains(command.name)) {
      throw Error(ErrorCode::internal, cat("method ", command.name, " has no handler"));
    }
  }
  for (const auto& [name, handler] : handlers_) {
    if (find_command(name) == nullptr) {
      throw Error(ErrorCode::internal, cat("handler ", name, " has no row in the command table"));
    }
  }
}

std::string Dispatcher::answer(std::string_view line, Session& session) const {
  const auto parsed = parse_request(line);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return refusal_line(*refusal);

  const auto& request = std::get<Request>(parsed);
  try {
    std::string reply = result_line(request.id, serve(request, session));
    record(request, session, "ok");
    return reply;
  } catch (...) {
    const Error error = util::current_error();
    if (error.code() == ErrorCode::internal) {
      log_.error(cat(request.command->name, ": ", error.message()));
    }
    record(request, session, util::traits(error.code()).name);
    return error_line(request.id, error);
  }
}

json::Value Dispatcher::serve(const Request& request, Session& session) const {
  const Command& command = *request.command;
  const Caller& caller = session.caller();
  if (caller.access < command.access) {
    throw Error(ErrorCode::not_authorised, cat(caller.user, " may not use ", command.name),
                cat("it needs access class ", access_name(command.access), ", yours is ",
                    access_name(caller.access)));
  }
  const json::Object params = check_parameters(command, request.params);
  // Waited for a thread of the pool meanwhile; nobody would read the answer.
  if (session.gone().stop_requested()) {
    throw Error(ErrorCode::unavailable, "the daemon is stopping or the caller has gone");
  }
  return handlers_.find(command.name)->second(params, session);
}

void Dispatcher::record(const Request& request, const Session& session,
                        std::string_view outcome) const {
  if (!request.command->mutating) return;
  try {
    audit_(session.caller(), *request.command, without_secrets(*request.command, request.params),
           outcome);
  } catch (...) {
    // What was done is done: the caller gets his answer, the administrator this line.
    log_.error(
        cat("no event written for ", request.command->name, ": ", util::current_error().message()));
  }
}

}  // namespace dbbackup::control
