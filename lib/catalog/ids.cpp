#include "catalog/ids.hpp"

#include <vector>

#include "catalog/columns.hpp"
#include "util/text.hpp"
#include "util/ulid.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr std::size_t kShortestPrefix = 6;  // Source: interface.md "Glossary", ids
constexpr std::int64_t kShownWhenAmbiguous = 3;

std::vector<std::string> ids_beginning_with(Connection& db, const IdNoun& noun,
                                            const std::string& prefix) {
  Statement statement =
      db.prepare(cat("SELECT id FROM ", noun.table, " WHERE id>=? AND id<? ORDER BY id LIMIT ",
                     kShownWhenAmbiguous));
  bind_value(statement, 1, prefix);
  bind_value(statement, 2, prefix + '{');  // the character after z, the last one of the alphabet
  return read_rows(statement, [](const Statement& row) { return row.string(0); });
}
}  // namespace

std::string resolve_id(Connection& db, const IdNoun& noun, std::string_view text) {
  const std::string wanted = util::to_lower(text);
  if (id_exists(db, noun, wanted)) return wanted;
  if (wanted.size() < kShortestPrefix) {
    throw Error(ErrorCode::usage,
                cat(noun.word, " id \"", util::printable(text), "\" is too short"),
                cat("give the id or at least its first ", kShortestPrefix, " characters"));
  }
  if (!util::is_ulid_prefix(wanted)) throw no_such_id(noun, text);
  const std::vector<std::string> found = ids_beginning_with(db, noun, wanted);
  if (found.empty()) throw no_such_id(noun, text);
  if (found.size() == 1) return found.front();
  throw Error(
      ErrorCode::usage,
      cat("several ", noun.table, " begin with ", wanted, ", among them ", util::join(found, ", ")),
      "give more characters of the id");
}

bool id_exists(Connection& db, const IdNoun& noun, std::string_view id) {
  Statement statement = db.prepare(cat("SELECT 1 FROM ", noun.table, " WHERE id=?"));
  return statement.bind(1, id).step();
}

Error no_such_id(const IdNoun& noun, std::string_view text) {
  return {ErrorCode::not_found, cat("there is no ", noun.word, " ", util::printable(text)),
          cat("\"dbbackupctl ", noun.word, " list\" shows those there are")};
}

}  // namespace dbbackup::catalog
