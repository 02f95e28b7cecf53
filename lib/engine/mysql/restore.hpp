// An artifact into a database.
//
// Order: database, sequences and tables (large ones with their primary key only), rows by several
// connections, the other keys and the foreign keys, routines, views, triggers, events, and accounts
// when asked for. What fails leaves an empty or removed database behind (create, replace), or the
// target as it was (append, for transactional tables).
//
// Threads: workers inside, joined before a function returns. Errors: refused (target not empty,
// triggers that an append would fire), conflict, io (a warning of the server), permission_denied,
// unsupported, cancelled.
#pragma once

#include "engine/mysql/crew.hpp"

namespace dbbackup::engine::mysql {

RestorePlan plan_database_restore(const Place& place, const std::string& password,
                                  repository::ArtifactReader& reader, const RestoreRequest& request,
                                  util::Task& task);

// `scratch`: events are made disabled, and nothing goes into the binary log where the login may
// choose that.
RestoreResult restore_database(const Place& place, const std::string& password, bool scratch,
                               repository::ArtifactReader& reader, const RestoreRequest& request,
                               util::Task& task);

}  // namespace dbbackup::engine::mysql
