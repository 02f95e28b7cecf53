// What is wrong with a configuration text, and where: one Diagnostic for each mistake, because an
// administrator wants to see all of them at once and not one per attempt.
//
// Threads: values and pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "util/error.hpp"

namespace dbbackup::config {

struct Diagnostic {
  std::string source;  // the file, as its reader named it
  int line = 0;        // from 1; 0 when the file as a whole is meant
  int column = 0;      // from 1, in characters, not bytes
  std::string message;
  std::string hint;  // what to do about it, or empty
};

// "FILE:LINE:COLUMN: message", the form editors and terminals can jump to.
std::string one_line(const Diagnostic& diagnostic);

// one_line(), then the line of `text` it is about with a caret below the column, then the hint.
// Ends with a newline.
std::string render(const Diagnostic& diagnostic, std::string_view text);

// All of them as one config_invalid: the first one's line, "and N more", and the first one's hint.
// Requires: not empty.
util::Error to_error(std::span<const Diagnostic> diagnostics);

}  // namespace dbbackup::config
