// Finding runs and artifacts by their id or the beginning of it.
//
// Threads: functions on the caller's connection.
#pragma once

#include <string>
#include <string_view>

#include "sqlite/sqlite.hpp"
#include "util/error.hpp"

namespace dbbackup::catalog {

// A kind of object with a ULID and the table, with primary key `id`, that keeps it.
struct IdNoun {
  std::string_view word;
  std::string_view table;
};
inline constexpr IdNoun kRun{"run", "runs"};
inline constexpr IdNoun kArtifact{"artifact", "artifacts"};

// The whole id of the one object whose id is or begins with `text`, in any case of letters.
// Errors: not_found; usage, when several fit or the prefix is shorter than 6 characters.
std::string resolve_id(sqlite::Connection& db, const IdNoun& noun, std::string_view text);

bool id_exists(sqlite::Connection& db, const IdNoun& noun, std::string_view id);
util::Error no_such_id(const IdNoun& noun, std::string_view text);

}  // namespace dbbackup::catalog
