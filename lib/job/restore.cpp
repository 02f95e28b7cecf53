#include "job/restore.hpp"

#include <algorithm>

#include "job/proof.hpp"
#include "job/verbs.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using util::cat;
using util::Error;
using util::ErrorCode;

void require_restore_allowed(const catalog::Database& database, util::TimePoint now) {
  if (database.restore_allowed_until && *database.restore_allowed_until > now) return;
  throw Error(ErrorCode::refused, cat("restore into ", database.name, " is not allowed"),
              cat("dbbackupctl database allow-restore ", database.name, " --for 10m"));
}

Source open_source(Services& services, const std::string& artifact_id, const Request& request,
                   const std::stop_token& stop) {
  Source source;
  if (!request.file.empty()) {
    const repository::Unlock unlock{.daemon_key = services.repositories.daemon_key(),
                                    .passphrase = request.passphrase};
    source.reader = repository::Repository::open_archive(request.file, unlock);
    return source;
  }
  source.artifact = services.catalog.artifact(artifact_id);
  source.repository = services.repositories.get(source.artifact->repository);
  source.reader = source.repository->read(source.artifact->id, stop);
  return source;
}

engine::RestoreRequest restore_request(const Request& request) {
  engine::RestoreRequest wanted;
  const auto mode = engine::restore_mode_from_name(request.mode);
  if (!mode) throw Error(ErrorCode::usage, cat("unknown restore mode '", request.mode, "'"));
  wanted.mode = *mode;
  wanted.scope = request.scope;
  wanted.integrity_check = request.integrity_check;
  return wanted;
}

void require_same_engine(const repository::ArtifactReader& reader,
                         const catalog::Database& target) {
  if (reader.engine() == target.engine) return;
  throw Error(ErrorCode::refused,
              cat("the artifact holds a ", reader.engine(), " database, ", target.name, " is a ",
                  target.engine, " database"),
              "restore into a database of the same engine, or use 'artifact export'");
}

std::vector<repository::TableProof> proof_of_tables(
    const std::vector<repository::TableProof>& proof, const std::vector<std::string>& tables) {
  std::vector<repository::TableProof> wanted;
  for (const repository::TableProof& table : proof) {
    if (std::find(tables.begin(), tables.end(), table.name) != tables.end())
      wanted.push_back(table);
  }
  return wanted;
}

RunState restore(Services& services, Run& run, const Request& request, util::Task& task) {
  const catalog::Database target = services.catalog.database(request.target);
  require_restore_allowed(target, services.clock.now());
  const Source source = open_source(services, run.artifact, request, task.stop());
  require_same_engine(*source.reader, target);

  engine::RestoreRequest wanted = restore_request(request);
  const bool append = wanted.mode == engine::RestoreMode::append;
  if (source.artifact && source.artifact->state == catalog::ArtifactState::proved &&
      !source.artifact->proof_run.empty()) {
    wanted.proved_by = source.artifact->proof_run;
  }
  task.info(cat("restoring ", source.reader->id(), " into ", target.name, " (", request.mode, ")"));

  const std::unique_ptr<engine::Engine> engine = services.engine_for(target);
  // Asked before, of the artifact: what the target holds afterwards must not decide what is
  // expected of it.
  std::vector<std::string> chosen;
  if (!wanted.scope.everything())
    chosen = engine->plan_restore(*source.reader, wanted, task).tables;
  const engine::RestoreResult result = engine->restore(*source.reader, wanted, task);
  run.warnings = result.warnings;

  if (append) {
    // The target held rows of its own: equality is not to be expected, the engine has counted what
    // it inserted.
    task.info("appended; content hashes are not compared in this mode");
    return RunState::succeeded;
  }
  const auto& sealed = source.reader->summary().proof;
  const auto expected = wanted.scope.everything() ? sealed : proof_of_tables(sealed, chosen);
  require_equal(compare_proof(expected, result.fingerprint, !wanted.scope.everything()),
                cat("database ", target.name));
  if (result.proved_by_bytes) {
    task.info(cat("restored: byte for byte what run ", *wanted.proved_by, " has proved"));
    return RunState::succeeded;
  }
  task.info(
      cat("restored: all ", expected.size(), " row counts and content hashes equal the proof"));
  if (source.artifact && source.artifact->state != catalog::ArtifactState::damaged &&
      wanted.scope.everything() && wanted.integrity_check) {
    services.catalog.set_artifact_state(source.artifact->id, catalog::ArtifactState::proved,
                                        run.id);
  }
  return RunState::succeeded;
}

}  // namespace dbbackup::job
