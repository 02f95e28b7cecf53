// Names of databases, repositories, jobs and schedules: what they may look like, whether they are
// taken, and what to say when they are not there.
//
// Threads: functions on the caller's connection.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sqlite/sqlite.hpp"
#include "util/error.hpp"

namespace dbbackup::catalog {

// A kind of named object and the table, with primary key `name`, that keeps it.
struct Noun {
  std::string_view word;
  std::string_view table;
};
inline constexpr Noun kDatabase{"database", "databases"};
inline constexpr Noun kRepository{"repository", "repositories"};
inline constexpr Noun kJob{"job", "jobs"};
inline constexpr Noun kSchedule{"schedule", "schedules"};

// Errors: usage, unless the name may be given to a new object; already_exists, when it is taken.
void require_free_name(sqlite::Connection& db, const Noun& noun, const std::string& name);
// Errors: not_found, with the nearest name as hint.
void require_exists(sqlite::Connection& db, const Noun& noun, const std::string& name);
// The same, where history may speak of something that was removed since. Requires: a noun that runs
// and artifacts have a column for.
void require_known(sqlite::Connection& db, const Noun& noun, const std::string& name);
util::Error no_such(sqlite::Connection& db, const Noun& noun, std::string_view name);

// All names of a kind, sorted.
std::vector<std::string> names_of(sqlite::Connection& db, const Noun& noun);
// Errors: conflict naming the jobs whose `column` is `name`.
void require_no_jobs(sqlite::Connection& db, const Noun& noun, std::string_view column,
                     const std::string& name);
void delete_named(sqlite::Connection& db, const Noun& noun, const std::string& name);

// "did you mean shop?" when a candidate is near, else empty.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace dbbackup::catalog
