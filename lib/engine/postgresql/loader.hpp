// Puts the content of an artifact into one database that is there, and proves what it has put.
//
// Threads: one at a time; workers inside. Owns: its connections. Errors: see restore.hpp.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/postgresql/backup.hpp"
#include "engine/postgresql/stored.hpp"
#include "util/file.hpp"

namespace dbbackup::engine::postgresql {

class Loader {
 public:
  // `is_new`: the database was made just now, so nobody needs to look whether it is empty.
  Loader(const Login& login, std::string database, repository::ArtifactReader& reader,
         const StoredDatabase& stored, const RestoreRequest& request, bool is_new,
         util::Task& task);

  // What stands in the target, by pg_dump's account of it.
  const Definitions& present();
  bool is_empty();
  // The chosen tables that the target has.
  std::vector<std::string> tables_present();
  // Drops them. Errors: refused when others depend on them.
  void drop_tables();
  // Everything: definitions, rows, positions of sequences, large objects, views, statistics.
  RestoreResult load();
  // Rows only, all or none, into tables that are there; missing ones are made first.
  RestoreResult append();

 private:
  enum class Half { pre_data, post_data };
  void choose_entries();
  void prepare_roles();
  void restore_half(Half half, unsigned jobs, const std::stop_token& stop);
  void load_rows();
  void load_part(Connection& connection, const StoredTable& table, const std::string& stream,
                 bool fresh);
  void load_large_objects();
  std::vector<repository::TableProof> prove_while_indexing();
  void fill_views();
  void analyze();
  void compare_definitions(std::vector<repository::TableProof>& proofs);
  std::vector<const StoredTable*> referenced_first() const;

  const Login& login_;
  const std::string database_;
  repository::ArtifactReader& reader_;
  const StoredDatabase& stored_;
  const bool is_new_;
  util::Task& task_;

  std::unique_ptr<Connection> leader_;
  Connections workers_;
  Program pg_dump_;
  Program pg_restore_;
  util::TemporaryFolder folder_;
  std::string archive_path_;
  std::optional<Definitions> present_;
  std::optional<std::set<int>> entries_;  // of the archive; absent: all of them
  std::vector<std::string> warnings_;
};

}  // namespace dbbackup::engine::postgresql
