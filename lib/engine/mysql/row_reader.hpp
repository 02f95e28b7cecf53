// The rows of a SELECT as lines of the row text (engine/row_text.hpp), read through the binary
// protocol.
//
// Why binary: the server does not have to turn numbers into text, which costs it more than half of
// the time of a text result, and FLOAT values arrive whole (the text protocol prints 6 digits).
// Numbers are printed here, in the shortest form that reads back as the same value; dates and times
// in full. Strings pass as the bytes they are. Nothing is allocated per row.
//
// Limit: a row must fit into memory, the library holds it whole.
//
// Threads: one connection's. Errors: those of the connection; internal for a type it does not know.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/mysql/connection.hpp"

namespace dbbackup::engine::mysql {

// Takes one row, newline included.
using LineSink = std::function<void(std::string_view line)>;

void read_rows(Connection& connection, const std::string& sql, const LineSink& sink,
               util::Task& task);

// Printing of numbers; the forms that LOAD DATA reads back as the same value.
void append_real(double value, std::string& out);
void append_float(float value, std::string& out);

}  // namespace dbbackup::engine::mysql
