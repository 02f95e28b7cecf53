// One row as the text form that PostgreSQL's COPY and MySQL's LOAD DATA share: fields between tabs,
// \N for NULL, a backslash before what would be mistaken. It is what row streams of servers hold.
//
// Threads: pure functions. Source: postgresql.org "COPY", section "Text Format"; mysql.com "LOAD
// DATA Statement", "Field and Line Handling".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::engine {

// Appends one field, nullopt for NULL: backslash, tab, newline, carriage return and NUL escaped as
// \\ \t \n \r \0.
void append_row_field(std::optional<std::string_view> field, std::string& line);

// Takes a line without its newline apart. Understands \0 \b \f \n \r \t \v \Z; a backslash before
// anything else stands for that character. `fields` is reused for speed.
void split_row(std::string_view line, std::vector<std::optional<std::string>>& fields);

}  // namespace dbbackup::engine
