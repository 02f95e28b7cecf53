#include "engine/sqlite/sqlite_engine.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "engine/sqlite/artifact_tables.hpp"
#include "engine/sqlite/backup.hpp"
#include "engine/sqlite/proof.hpp"
#include "engine/sqlite/restore.hpp"
#include "engine/sqlite/schema.hpp"
#include "engine/sqlite/session.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

util::Milliseconds parse_busy_timeout(const std::string& value) {
  const auto duration = util::parse_duration(value);
  if (!duration) {
    throw Error(ErrorCode::usage,
                cat("option busy_timeout: \"", util::printable(value), "\" is not a duration"),
                "for example 30s or 2m");
  }
  return *duration;
}

CheckLevel parse_check(const std::string& value) {
  if (value == "none") return CheckLevel::none;
  if (value == "quick") return CheckLevel::quick;
  if (value == "full") return CheckLevel::full;
  throw Error(ErrorCode::usage, cat("option check: \"", util::printable(value), "\" is unknown"),
              "one of none, quick, full");
}

// A power of two that every page size divides and that a reader may hold several of.
std::uint32_t parse_block(const std::string& value) {
  const auto size = util::parse_size(value);
  if (!size || *size < 65536 || *size > (1U << 20U) || (*size & (*size - 1)) != 0) {
    throw Error(ErrorCode::usage,
                cat("option block: \"", util::printable(value), "\" is not a block size"),
                "one of 64KiB, 128KiB, 256KiB, 512KiB, 1MiB");
  }
  return static_cast<std::uint32_t>(*size);
}

// Later options win: those of the URL come before those of the database record.
SourceSettings source_settings(const std::string& path, const Options& parameters,
                               const Options& options) {
  SourceSettings settings;
  settings.path = path;
  for (const Options* list : {&parameters, &options}) {
    for (const auto& [name, value] : *list) {
      if (name == "busy_timeout") settings.busy_timeout = parse_busy_timeout(value);
      if (name == "block") settings.block_bytes = parse_block(value);
      if (name == "check") settings.check = parse_check(value);
    }
  }
  return settings;
}

class SqliteEngine final : public Engine {
 public:
  SqliteEngine(SourceSettings source, std::vector<std::string> protected_files)
      : source_(std::move(source)),
        target_{source_.path, source_.busy_timeout, std::move(protected_files)} {}

  Probe probe(util::Task& task) override;

  std::vector<Table> inventory(const Scope& scope, util::Task& task) override {
    Sessions sessions = open_snapshot(source_.path, 1, source_.busy_timeout, task);
    const Schema schema = read_schema(sessions.front());
    std::vector<Table> tables;
    for (const StoredTable& table : choose(schema, scope).tables) {
      if (is_internal(table.name)) continue;
      std::vector<std::string> columns;
      for (const Column& column : table.columns) columns.push_back(column.name);
      tables.push_back({table.name, std::nullopt, std::move(columns)});
    }
    return tables;
  }

  repository::Summary back_up(const Scope& scope, repository::ArtifactWriter& writer,
                              util::Task& task) override {
    return back_up_file(source_, scope, writer, task);
  }

  RestorePlan plan_restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                           util::Task& task) override {
    return plan_file_restore(target_, reader, request, task);
  }

  RestoreResult restore(repository::ArtifactReader& reader, const RestoreRequest& request,
                        util::Task& task) override {
    return restore_file(target_, reader, request, task);
  }

  std::vector<repository::TableProof> fingerprint(const Scope& scope, util::Task& task) override {
    Sessions sessions = open_snapshot(source_.path, scope.parallel, source_.busy_timeout, task);
    const Schema schema = choose(read_schema(sessions.front()), scope);
    return prove(sessions, schema, scope, task);
  }

 private:
  const SourceSettings source_;
  const TargetSettings target_;
};

Check failed(std::string name, const Error& error) {
  return {std::move(name), false, error.message(), error.hint()};
}

Probe SqliteEngine::probe(util::Task& task) {
  Probe probe;
  probe.engine = "sqlite";
  probe.server_version = sqlite::library_version();
  try {
    const std::uint64_t size = require_database_file(source_.path);
    probe.checks.push_back({"file", true, cat(source_.path, ", ", util::format_size(size)), {}});
  } catch (const Error& error) {
    probe.checks.push_back(failed("file", error));
    return probe;
  }
  try {
    Sessions sessions = open_snapshot(source_.path, 1, source_.busy_timeout, task);
    sqlite::Connection& connection = sessions.front();
    probe.checks.push_back(
        {"read",
         true,
         cat("SQLite ", sqlite::library_version(), ", ", read_schema(connection).tables.size(),
             " tables, ", pragma_integer(connection, "page_count"), " pages of ",
             pragma_integer(connection, "page_size"), " bytes, ",
             pragma_text(connection, "encoding")),
         {}});
    const std::string journal = pragma_text(connection, "journal_mode");
    probe.checks.push_back(
        {"journal", true, cat("journal mode ", journal),
         journal == "wal"
             ? std::string()
             : "writers wait while a backup reads; `PRAGMA journal_mode=WAL` avoids that"});
  } catch (const Error& error) {
    probe.checks.push_back(failed("read", error));
  }
  // A restore writes beside the file; a database that is only backed up does not need it.
  const std::string folder = std::filesystem::path(source_.path).parent_path().string();
  const bool writable = ::access(folder.c_str(), W_OK) == 0;
  probe.checks.push_back(
      {"folder", true, cat(folder, writable ? " is writable" : " is read-only for this process"),
       writable ? std::string()
                : cat("restoring into this database would need ReadWritePaths=", folder)});
  return probe;
}

void parse_sqlite_url(const std::string& rest, Address& address) {
  const std::size_t question = rest.find('?');
  address.database = percent_decode(rest.substr(0, question));
  if (!address.database.starts_with('/')) {
    throw Error(ErrorCode::usage, "the path of a SQLite database must be absolute",
                "write sqlite:///absolute/path.db, with three slashes");
  }
  if (address.database.ends_with('/')) {
    throw Error(ErrorCode::usage, "the path of a SQLite database names a folder");
  }
  if (question == std::string::npos) return;
  for (const std::string& parameter : util::split(rest.substr(question + 1), '&')) {
    const std::size_t equals = parameter.find('=');
    if (equals == std::string::npos) {
      throw Error(ErrorCode::usage,
                  cat("URL parameter \"", util::printable(parameter), "\" has no value"),
                  "write a question mark in a path as %3F");
    }
    address.parameters.emplace_back(percent_decode(parameter.substr(0, equals)),
                                    percent_decode(parameter.substr(equals + 1)));
  }
  check_options("sqlite", address.parameters);
}
}  // namespace

Entry entry() {
  Entry entry;
  entry.engine = "sqlite";
  entry.schemes = {"sqlite"};
  entry.options = {
      {"busy_timeout", "how long to wait for locks of other programs (30s)",
       [](const std::string& value) { parse_busy_timeout(value); }},
      {"check", "how to check the source during a backup: none, quick (default) or full",
       [](const std::string& value) { parse_check(value); }},
      {"block", "unit of deduplication, 64KiB to 1MiB (128KiB, from 256 MiB of database on 1MiB)",
       [](const std::string& value) { parse_block(value); }},
  };
  entry.parse = parse_sqlite_url;
  entry.make = [](const Address& address, const Settings& settings) -> std::unique_ptr<Engine> {
    return std::make_unique<SqliteEngine>(
        source_settings(address.database, address.parameters, settings.options),
        settings.protected_files);
  };
  entry.make_scratch = [](const ScratchPlace& place,
                          const Settings& settings) -> std::unique_ptr<Engine> {
    return std::make_unique<SqliteEngine>(
        source_settings(place.folder + "/scratch.db", {}, settings.options),
        settings.protected_files);
  };
  entry.open_tables = open_artifact_tables;
  return entry;
}

}  // namespace dbbackup::engine::sqlite_engine
