// An artifact into a SQLite file.
//
// Whole (pages, all tables, mode create or replace): streamed into a file beside the target,
// checked there and renamed when nobody has the target open; otherwise through SQLite's backup API
// into the live file, in one transaction of its. Rows (partial artifacts, chosen tables, mode
// append): one transaction on the target, or a file beside it when there is no target.
//
// Rows that refer to nothing are told as warnings, never as a failure: the comparison of the
// fingerprint with the proof already shows that the restored rows are those of the source, so the
// source had them too, or chosen tables came without their parents.
//
// Errors: refused (target not empty, protected), conflict (append meets an existing row),
// verification_failed (stored data or the restored file damaged), unavailable (target locked),
// cancelled.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "sqlite/sqlite.hpp"
#include "util/time.hpp"

namespace dbbackup::engine::sqlite_engine {

struct TargetSettings {
  std::string path;
  util::Milliseconds busy_timeout{30000};
  std::vector<std::string> protected_files;
};

struct TargetState {
  bool exists = false;
  bool is_database = true;
  std::vector<std::string> tables;  // of users
  bool empty() const { return is_database && tables.empty(); }
};

TargetState look_at_target(const TargetSettings& target, util::Task& task);

RestorePlan plan_file_restore(const TargetSettings& target, repository::ArtifactReader& reader,
                              const RestoreRequest& request, util::Task& task);
RestoreResult restore_file(const TargetSettings& target, repository::ArtifactReader& reader,
                           const RestoreRequest& request, util::Task& task);

// Writes a whole or partial artifact as a database file; an existing one is replaced.
void write_database_file(const std::string& path, repository::ArtifactReader& reader,
                         util::Task& task);

// row_restore.cpp
RestoreResult restore_rows(const TargetSettings& target, const TargetState& state,
                           repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task);

// Errors: verification_failed, naming the first finding.
void require_intact(sqlite::Connection& connection, const RestoreRequest& request,
                    std::vector<std::string>& warnings);

}  // namespace dbbackup::engine::sqlite_engine
