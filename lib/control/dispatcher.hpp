// One request line in, one reply line out: look-up, access, parameters, handler, audit.
//
// Threads: answer() from any thread. Owns: the handlers.
#pragma once

#include <string>
#include <string_view>

#include "control/server.hpp"
#include "control/wire.hpp"

namespace dbbackup::control {

class Dispatcher {
 public:
  // Errors: internal, when a command of the table has no handler or a handler no command.
  Dispatcher(Handlers handlers, Audit audit, util::Logger log);

  // Whatever fails becomes the reply; nothing is thrown for a request.
  std::string answer(std::string_view line, Session& session) const;

 private:
  util::json::Value serve(const Request& request, Session& session) const;
  void record(const Request& request, const Session& session, std::string_view outcome) const;

  Handlers handlers_;
  Audit audit_;
  util::Logger log_;
};

}  // namespace dbbackup::control
