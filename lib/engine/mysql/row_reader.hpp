// The rows of a SELECT as lines of the row text (engine/row_text.hpp), read through the binary
// protocol.
//
// Why binary: the server does not have to turn numbers into text, which costs it more than half of
// the time of a text result, and FLOAT values arrive whole (the text protocol prints 6 digits).
// Numbers are printed here, in the shortest form that reads back as the same value; dates and times
// in full. Strings pass as the bytes they are. Nothing is allocated per row.
//
// Values that are larger than memory should hold (engine/mysql/README.md "Large values") are
// fetched in slices by a second statement; see LargeValues.
//
// Threads: one connection's. Errors: those of the connection; internal for a type it does not know.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/mysql/connection.hpp"

namespace dbbackup::engine::mysql {

// Takes pieces of lines: `ends` is true with the piece that completes a row, newline included.
// Small rows come in one piece.
using LineSink = std::function<void(std::string_view piece, bool ends)>;

// How values beyond a size are fetched: for those the SELECT gives NULL in place of the value, and
// behind all columns one more per large column: the value's length, NULL for values that are there.
struct LargeValues {
  std::size_t columns = 0;             // of the row itself
  std::vector<std::size_t> positions;  // of the columns that may be large
  // Writes the bytes of column `position` of the row whose key has the given literals.
  std::function<void(std::size_t position, const std::vector<std::string>& key,
                     std::uint64_t length, const std::function<void(std::string_view)>& each)>
      fetch;
  std::size_t key_columns = 0;  // columns behind the lengths: the key as literals
};

void read_rows(Connection& connection, const std::string& sql, const LineSink& sink,
               util::Task& task, const LargeValues* large = nullptr);

// Printing of numbers; the forms that LOAD DATA reads back as the same value.
void append_real(double value, std::string& out);
void append_float(float value, std::string& out);

}  // namespace dbbackup::engine::mysql
