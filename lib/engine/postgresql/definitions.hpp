// Everything of a database but its rows, as pg_dump writes it: an archive in its custom format
// without data, and the table of contents of such an archive.
//
// The archive is what pg_restore restores from, so no class of objects is ever missed. Its table of
// contents is read here as well: to know what a chosen table depends on, to compare the definitions
// of two databases object by object, and to write SQL scripts without any program at hand.
//
// Threads: values and pure functions. Errors: verification_failed for an archive that cannot be
// read, unsupported for one of a format that is not known.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/postgresql/program.hpp"
#include "repository/stream.hpp"
#include "util/bytes.hpp"

namespace dbbackup::engine::postgresql {

struct Definition {
  int id = 0;
  std::string kind;  // "TABLE", "FK CONSTRAINT", "ACL", ...
  std::string schema;
  std::string name;  // pg_dump's: "orders", "orders orders_pkey", "FUNCTION f(integer)"
  std::string owner;
  std::string tablespace;
  std::string access_method;
  std::string create;
  std::string drop;
  enum class Section { none, pre_data, data, post_data } section = Section::none;
  std::vector<int> needs;  // ids

  std::string shown() const;  // "TABLE public.orders"
};

struct Definitions {
  std::string server_version;   // of the source, as pg_dump wrote it
  std::string program_version;  // of pg_dump
  std::vector<Definition> list;

  const Definition* find(int id) const;
};

// Runs pg_dump; `snapshot` may be empty. The archive's date is removed, so that equal definitions
// give equal bytes. Errors: those of run_program(); what pg_dump says.
util::Bytes dump_definitions(const Program& pg_dump, const Login& login,
                             const std::string& database, const std::string& snapshot,
                             const std::stop_token& stop);

Definitions read_definitions(util::ByteView archive);

// Belongs to the database as a whole, which pg_restore leaves alone.
bool is_about_database(const Definition& definition);

struct Comparison {
  bool owners = true;  // also owners and grants
};
// One row per object in a form in which two prints of the same definition are equal: PostgreSQL
// prints the casts of a CHECK on a varchar differently after a restore.
repository::RowHash hash_definitions(const Definitions& definitions, const Comparison& how);
// Objects that are in one of the two only or differ: "TABLE public.orders differs". At most `most`.
std::vector<std::string> differences(const Definitions& expected, const Definitions& actual,
                                     const Comparison& how, std::size_t most);

// What restoring these tables takes: their own entries, what they depend on, and what belongs to
// them. `left_out` gets foreign keys to tables that are not among them.
std::set<int> closure(const Definitions& definitions,
                      const std::set<std::pair<std::string, std::string>>& tables,
                      std::vector<std::string>& left_out);

}  // namespace dbbackup::engine::postgresql
