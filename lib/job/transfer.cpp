// Artifacts out of the repository in other formats, and archives back in.
#include <filesystem>

#include "exchange/export.hpp"
#include "job/artifact_record.hpp"
#include "job/restore.hpp"
#include "job/verbs.hpp"
#include "util/error.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
using util::Error;
using util::ErrorCode;
namespace json = util::json;

namespace {
json::Object metadata(const catalog::Artifact& artifact) {
  return json::Object{{"schema_version", 1},
                      {"artifact", artifact.id},
                      {"name", artifact.name},
                      {"database", artifact.database},
                      {"job", artifact.job},
                      {"engine", artifact.engine},
                      {"server_version", artifact.server_version},
                      {"type", artifact.type},
                      {"created_at", util::format_rfc3339(artifact.created_at)},
                      {"started_at", util::format_rfc3339(artifact.started_at)},
                      {"rows", artifact.rows},
                      {"source_bytes", artifact.source_bytes}};
}
}  // namespace

RunState export_artifact(Services& services, Run& run, const Request& request, util::Task& task) {
  const std::filesystem::path to = request.file;
  if (std::filesystem::exists(to)) {
    throw Error(ErrorCode::already_exists, cat(to.string(), " exists already"),
                "name a target that does not exist; nothing is ever overwritten");
  }
  const Source source = open_source(services, run.artifact, Request{}, task.stop());
  const std::string& id = source.artifact->id;
  if (request.format == "archive") {
    source.repository->export_archive(id, to, request.passphrase, task);
  } else if (request.format == "native") {
    engine::open_tables(*source.reader)->write_native(to.string(), task);
  } else if (const auto format = exchange::format_from_name(request.format)) {
    const auto tables = engine::open_tables(*source.reader);
    const exchange::ExportResult result = exchange::export_tables(
        *tables, {*format, to, request.scope, metadata(*source.artifact)}, task);
    run.result = json::write(
        json::Object{{"tables", result.tables}, {"rows", result.rows}, {"bytes", result.bytes}});
  } else {
    throw Error(ErrorCode::usage, cat("unknown export format '", request.format, "'"),
                "use csv, json, sql, native or archive");
  }
  task.info(cat("exported ", id, " to ", to.string()));
  return RunState::succeeded;
}

namespace {
// A dump of the database's own tool becomes an artifact as a backup does.
RunState import_dump(Services& services, Run& run, const std::string& engine,
                     const Request& request, util::Task& task) {
  const auto repository = services.repositories.get(run.repository);
  repository::ArtifactIdentity identity;
  identity.id = services.ids.next();
  identity.started = services.clock.now();
  identity.database = std::filesystem::path(request.file).stem().string();
  identity.name = cat(identity.database, "--import");
  identity.run = run.id;
  identity.engine = engine;
  identity.type = "full";
  const std::unique_ptr<repository::ArtifactWriter> writer = repository->begin(identity, task);
  const repository::Summary summary = engine::import_dump(engine, request.file, *writer, task);
  task.check();
  services.catalog.require_lease();
  const repository::Committed committed = repository->commit(*writer, summary);
  services.catalog.put_artifact(artifact_record(committed.manifest, run.repository));
  run.artifact = identity.id;
  run.database = identity.database;
  run.warnings = summary.warnings;
  task.info(
      cat("imported ", request.file, " as ", identity.id, ": ", committed.manifest.rows, " rows"));
  return RunState::succeeded;
}
}  // namespace

RunState import_artifact(Services& services, Run& run, const Request& request, util::Task& task) {
  if (const auto engine = engine::engine_of_dump(request.file)) {
    return import_dump(services, run, *engine, request, task);
  }
  const auto repository = services.repositories.get(run.repository);
  const repository::Unlock unlock{.daemon_key = services.repositories.daemon_key(),
                                  .passphrase = request.passphrase};
  const std::string id = repository::Repository::open_archive(request.file, unlock)->id();
  if (const auto known = services.catalog.find_artifact(id)) {
    throw Error(ErrorCode::already_exists,
                cat("artifact ", id, " is in repository ", known->repository, " already"),
                "an artifact is in one repository at a time; remove it there first");
  }
  const repository::Manifest manifest = repository->import_archive(request.file, unlock, task);
  services.catalog.put_artifact(artifact_record(manifest, run.repository));
  run.artifact = manifest.id;
  run.database = manifest.database;
  task.info(cat("imported ", manifest.id, " (", manifest.name, ")"));
  return RunState::succeeded;
}

}  // namespace dbbackup::job
