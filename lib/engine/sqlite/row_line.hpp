// One row as one line of text: what the proof hashes and what the streams of partial backups hold.
//
// The form is canonical, so equal rows give equal bytes, and exact, so a line gives back its row.
// Fields are separated by tabs:
//   NULL     \N
//   integer  its decimal digits
//   real     the shortest decimal text that reads back as the same number; it always contains one
//   of . e n text     ' and its bytes as UTF-8 blob     x and its bytes
// with backslash, tab, newline, carriage return and NUL inside text and blob written as \\ \t \n \r
// \0.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"
#include "sqlite/sqlite.hpp"

namespace dbbackup::engine::sqlite_engine {

// Replaces `line` by the current row of `statement`, without a newline at the end. Reuse `line` for
// speed.
void encode_row(const sqlite::Statement& statement, int columns, std::string& line);

// Errors: verification_failed for a line that encode_row() cannot have written.
void decode_row(std::string_view line, std::vector<Field>& fields);

// Binds a decoded field to a parameter.
void bind_field(sqlite::Statement& statement, int parameter, const Field& field);

}  // namespace dbbackup::engine::sqlite_engine
