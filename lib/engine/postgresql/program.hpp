// pg_dump and pg_restore: finding the ones that fit a server, and running them.
//
// The password reaches them through a file in memory that only the child inherits: not through its
// arguments and not through its environment, both of which `ps` shows.
//
// Threads: run() waits on the caller's thread. Owns: the child until it has ended. Errors:
// not_found with the package's name, cancelled, system errors; whatever the program says when it
// fails.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/postgresql/login.hpp"
#include "util/bytes.hpp"

namespace dbbackup::engine::postgresql {

struct Program {
  std::string path;
  int major = 0;
  std::string version;
};

// The oldest installed one of at least this major version. `name`: "pg_dump" or "pg_restore".
Program find_program(const Login& login, const std::string& name, int least_major);

struct ProgramEnd {
  int exit_status = 0;
  std::vector<std::string> messages;  // lines of standard error
};

// Runs to the end; `take` gets the standard output. On a stop the program gets SIGTERM, on which it
// cancels what it has under way on the server, and after two seconds SIGKILL.
ProgramEnd run_program(const Program& program, const std::vector<std::string>& arguments,
                       const Login& login, const std::stop_token& stop,
                       const std::function<void(util::ByteView)>& take);

}  // namespace dbbackup::engine::postgresql
