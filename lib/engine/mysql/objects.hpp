// Making and removing the objects of a database.
//
// Threads: one connection's.
#pragma once

#include "engine/mysql/definition.hpp"

namespace dbbackup::engine::mysql {

bool database_exists(Connection& connection, const std::string& database);
// Tables, sequences, views, routines and events, as "table orders".
std::vector<std::string> objects_of(Connection& connection, const std::string& database);
// Removes all of them; the database itself stays.
void empty_database(Connection& connection, const std::string& database);
void drop_tables(Connection& connection, const std::vector<std::string>& tables);

// CREATE or ALTER DATABASE with the options of a definition.
std::string database_statement(std::string_view verb, const Definition& definition,
                               const std::string& source, const std::string& target);

// How views, routines, triggers and events are made.
struct Making {
  std::string source;  // name of the database they come from
  std::string target;
  Definers definers = Definers::keep;
  bool events_enabled = true;
};
// Routines, views, triggers and events, in an order that works. Returns warnings.
// Requires: the connection's database is the target.
std::vector<std::string> make_programs(Connection& connection,
                                       const std::vector<Definition>& definitions,
                                       const Making& making);

}  // namespace dbbackup::engine::mysql
