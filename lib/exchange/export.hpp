// Artifacts in the formats other tools read, written without restoring anything: rows flow from the
// artifact's streams straight into files.
//
// Layout of csv (the one of an earlier tool, kept so that its users' scripts go on working):
// `schema.sql`, `metadata.json`, `data/<table>.csv`, as a folder, a `.zip` or a `.tar.zst`. NULL is
// an empty field, the empty string is "" in quotes. json: the same with `data/<table>.json`. sql:
// one `.sql` script, or `dump.sql` inside the folder or package.
//
// Threads: one export per call. Errors: already_exists when the target is there; io, no_space;
// unsupported; cancelled (then nothing is left behind).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.hpp"
#include "util/json.hpp"
#include "util/task.hpp"

namespace dbbackup::exchange {

enum class Format { csv, json, sql };
std::optional<Format> format_from_name(std::string_view name);

struct ExportRequest {
  Format format = Format::csv;
  std::filesystem::path
      to;  // absolute; its ending chooses folder, .zip, .tar.zst or (sql only) a plain .sql file
  engine::Scope scope;  // tables to take
  util::json::Object
      metadata;  // goes into metadata.json: artifact id, name, database, times, counts
};

struct ExportResult {
  std::uint64_t tables = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // written
};

ExportResult export_tables(engine::ArtifactTables& tables, const ExportRequest& request,
                           util::Task& task);

}  // namespace dbbackup::exchange
