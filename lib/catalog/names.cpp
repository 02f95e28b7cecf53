#include "catalog/names.hpp"

#include <algorithm>

#include "catalog/columns.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::size_t kLongestName = 128;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && is_letter_or_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

bool exists(Connection& db, const Noun& noun, const std::string& name) {
  Statement statement = db.prepare(cat("SELECT 1 FROM ", noun.table, " WHERE name=?"));
  return statement.bind(1, std::string_view(name)).step();
}

std::vector<std::string> read_strings(Statement& statement) {
  return read_rows(statement, [](const Statement& row) { return row.string(0); });
}
}  // namespace

void require_free_name(Connection& db, const Noun& noun, const std::string& name) {
  if (!is_name(name)) {
    throw Error(ErrorCode::usage,
                cat("\"", util::printable(name), "\" cannot be the name of a ", noun.word),
                cat("names have 1 to ", kLongestName,
                    " characters of A-Z a-z 0-9 . _ - and begin with a letter or digit"));
  }
  if (name == kControlName) {
    throw Error(ErrorCode::usage, cat("the name ", name, " is reserved"),
                "backups of the control database itself have it; choose another name");
  }
  if (exists(db, noun, name)) {
    throw Error(ErrorCode::already_exists, cat(noun.word, " ", name, " exists already"),
                "choose another name, or remove the old one first");
  }
}

void require_exists(Connection& db, const Noun& noun, const std::string& name) {
  if (!exists(db, noun, name)) throw no_such(db, noun, name);
}

void require_known(Connection& db, const Noun& noun, const std::string& name) {
  if (exists(db, noun, name)) return;
  for (const std::string_view history : {"artifacts", "runs"}) {
    Statement statement =
        db.prepare(cat("SELECT 1 FROM ", history, " WHERE ", noun.word, "=? LIMIT 1"));
    if (statement.bind(1, std::string_view(name)).step()) return;
  }
  throw no_such(db, noun, name);
}

Error no_such(Connection& db, const Noun& noun, std::string_view name) {
  const std::vector<std::string> names = names_of(db, noun);
  std::string hint = suggestion(name, names);
  if (names.empty()) {
    hint = cat("there are none yet; \"dbbackupctl ", noun.word, " add\" makes one");
  } else if (hint.empty()) {
    hint = cat("\"dbbackupctl ", noun.word, " list\" shows those there are");
  }
  return {ErrorCode::not_found, cat("there is no ", noun.word, " ", util::printable(name)),
          std::move(hint)};
}

std::vector<std::string> names_of(Connection& db, const Noun& noun) {
  Statement statement = db.prepare(cat("SELECT name FROM ", noun.table, " ORDER BY name"));
  return read_strings(statement);
}

void require_no_jobs(Connection& db, const Noun& noun, std::string_view column,
                     const std::string& name) {
  Statement statement = db.prepare(cat("SELECT name FROM jobs WHERE ", column, "=? ORDER BY name"));
  statement.bind(1, std::string_view(name));
  const std::vector<std::string> jobs = read_strings(statement);
  if (jobs.empty()) return;
  throw Error(ErrorCode::conflict,
              cat(noun.word, " ", name, " is used by ", jobs.size() == 1 ? "job " : "jobs ",
                  util::join(jobs, ", ")),
              "remove the jobs or point them elsewhere first");
}

void delete_named(Connection& db, const Noun& noun, const std::string& name) {
  Statement statement = db.prepare(cat("DELETE FROM ", noun.table, " WHERE name=?"));
  statement.bind(1, std::string_view(name)).run();
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const auto near = util::nearest(word, candidates);
  return near ? cat("did you mean ", *near, "?") : std::string();
}

}  // namespace dbbackup::catalog
