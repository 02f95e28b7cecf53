// Everything the client shows goes through here: results to stdout, all the rest to stderr, in the
// format that was asked for.
//
// Threads: used by the main thread only.
// Owns: nothing; streams and terminal outlive it.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ctl/arguments.hpp"
#include "ctl/table.hpp"
#include "ctl/terminal.hpp"
#include "util/error.hpp"
#include "util/json.hpp"

namespace dbbackup::ctl {

class Output {
 public:
  Output(std::ostream& out, std::ostream& err, const Terminal& terminal, Format format, bool quiet)
      : out_(out), err_(err), terminal_(terminal), format_(format), quiet_(quiet) {}

  Format format() const { return format_; }
  bool quiet() const { return quiet_; }
  const Terminal& terminal() const { return terminal_; }

  // For people, on stdout.
  void line(std::string_view text);
  void heading(std::string_view text);
  void table(const Table& table);
  // "Name:  value" lines; values are made harmless, an empty or "-" value leaves its line out.
  void fields(const std::vector<std::pair<std::string, Cell>>& fields);
  // For people, on stderr; nothing when quiet.
  void note(std::string_view text);
  void warning(std::string_view text);

  // For scripts, on stdout. json() is pretty unless the format is jsonl.
  void json(const util::json::Value& value);
  // Ready-made text, as completion scripts are.
  void raw(std::string_view text);
  // A reply in one of the formats for scripts: the object as it is, its list one object per line,
  // or its names. Errors: usage, where names are asked for and nothing in it has one.
  void reply(const util::json::Object& reply);

  // `dbbackupctl: <what> (<code>)` and `hint: ...` on stderr, and the JSON object on stdout with -o
  // json or jsonl.
  void error(const util::Error& error);
  // The same without the object: where stdout holds the failed run already.
  void error_lines(const util::Error& error);

  // For progress displays.
  std::ostream& error_stream() { return err_; }

 private:
  std::ostream& out_;
  std::ostream& err_;
  const Terminal& terminal_;
  Format format_;
  bool quiet_;
};

}  // namespace dbbackup::ctl
