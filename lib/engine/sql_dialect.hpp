// How one kind of database writes its rows as an SQL script: what an export in format sql asks for.
//
// The base class writes standard INSERT statements, one per row; an engine overrides how names and
// values look, or the whole table where its script language has a bulk form (COPY).
//
// Threads: const members are safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"

namespace dbbackup::engine {

class SqlDialect {
 public:
  virtual ~SqlDialect() = default;

  // What stands before the first and after the last statement of a script.
  virtual void begin_script(std::string& out) const { (void)out; }
  virtual void end_script(std::string& out) const { (void)out; }

  // An identifier, quoted. The base class uses the standard's double quotes.
  virtual void name(std::string_view identifier, std::string& out) const;
  // The table of a TableData; the base class quotes its whole name as one identifier.
  virtual void table_name(const TableData& table, std::string& out) const;
  virtual void value(const Field& field, std::string& out) const = 0;

  // Generated columns are left out: a script cannot insert what the database computes.
  virtual void begin_table(const TableData& table, std::string& out) const;
  virtual void row(const TableData& table, const std::vector<Field>& fields,
                   std::string& out) const;
  virtual void end_table(const TableData& table, std::string& out) const;
};

// Appends `text` between two quotes, with the quotes inside doubled.
void append_quoted(std::string_view text, char quote, std::string& out);

}  // namespace dbbackup::engine
