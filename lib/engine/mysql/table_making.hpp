// A table's CREATE statement taken apart, so that its secondary keys can be built after its rows.
//
// Threads: pure functions.
#pragma once

#include <string>

namespace dbbackup::engine::mysql {

struct TableMaking {
  std::string create;
  std::string keys;     // ALTER TABLE that adds them; empty: none
  std::string foreign;  // ALTER TABLE that adds the foreign keys; empty: none
};

// `sql` is what SHOW CREATE TABLE shows: every column, key and constraint on a line of its own.
TableMaking split_table(const std::string& sql, const std::string& name);

}  // namespace dbbackup::engine::mysql
