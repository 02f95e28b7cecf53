#include <algorithm>

#include "catalog/columns.hpp"
#include "catalog/holds.hpp"
#include "catalog/ids.hpp"
#include "catalog/impl.hpp"
#include "catalog/job_summary.hpp"
#include "catalog/names.hpp"
#include "catalog/reference.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
constexpr Table kTable{
    "artifacts",
    "id,name,job,database,repository,engine,server_version,type,base,state,created_at,started_at,"
    "consistency_kind,consistency_position,streams,rows,source_bytes,added_bytes,warnings,skipped,"
    "proof_run,proved_at,suspicions,accepted_at"};

auto fields(auto& artifact) {
  return std::tie(artifact.id, artifact.name, artifact.job, artifact.database, artifact.repository,
                  artifact.engine, artifact.server_version, artifact.type, artifact.base,
                  artifact.state, artifact.created_at, artifact.started_at,
                  artifact.consistency_kind, artifact.consistency_position, artifact.streams,
                  artifact.rows, artifact.source_bytes, artifact.added_bytes, artifact.warnings,
                  artifact.skipped, artifact.proof_run, artifact.proved_at, artifact.suspicions,
                  artifact.accepted_at);
}

Artifact read_one(const Statement& row) {
  Artifact artifact;
  read_fields(row, fields(artifact));
  return artifact;
}

std::optional<Artifact> find(Connection& db, const std::string& id) {
  Statement statement = db.prepare(select_sql(kTable) + " WHERE id=?");
  bind_value(statement, 1, id);
  return read_row(statement, read_one);
}

Artifact get(Connection& db, const std::string& id) {
  auto found = find(db, id);
  if (!found) throw no_such_id(kArtifact, id);
  return *std::move(found);
}

void store(Connection& db, const std::string& sql, const Artifact& artifact) {
  Statement statement = db.prepare(sql);
  bind_fields(statement, fields(artifact));
  statement.run();
  refresh_job_summary(db, artifact.job);
}

// A rescan brings `sealed` and knows nothing of checks and drills; damage is always news; else the
// newer proof counts.
bool tells_more(const Artifact& given, const Artifact& known) {
  if (given.state == ArtifactState::damaged) return true;
  if (given.state == ArtifactState::sealed) return false;
  return known.state == ArtifactState::sealed || given.proved_at > known.proved_at;
}

Artifact merged(const Artifact& given, const Artifact& known) {
  Artifact artifact = given;
  const bool news = tells_more(given, known);
  if (!news) artifact.state = known.state;
  if (!news || !given.proved_at) {
    artifact.proof_run = known.proof_run;
    artifact.proved_at = known.proved_at;
  }
  if (!artifact.accepted_at) artifact.accepted_at = known.accepted_at;
  return artifact;
}
}  // namespace

void Catalog::put_artifact(const Artifact& artifact) {
  impl_->write([&](Connection& db) {
    require_exists(db, kRepository, artifact.repository);
    const std::optional<Artifact> known = find(db, artifact.id);
    if (!known) {
      store(db, insert_sql(kTable), artifact);
      return;
    }
    store(db, update_sql(kTable), merged(artifact, *known));
    if (known->job != artifact.job) refresh_job_summary(db, known->job);
  });
}

void Catalog::set_artifact_state(const std::string& id, ArtifactState state,
                                 const std::string& proof_run) {
  impl_->write([&](Connection& db) {
    Artifact artifact = get(db, id);
    // A check proves less than a drill did.
    if (state == ArtifactState::checked && artifact.state == ArtifactState::proved) return;
    artifact.state = state;
    if (state == ArtifactState::proved) {
      artifact.proof_run = proof_run;
      artifact.proved_at = impl_->clock.now();
    }
    store(db, update_sql(kTable), artifact);
  });
}

std::optional<Artifact> Catalog::find_artifact(const std::string& id) {
  return impl_->read([&](Connection& db) { return find(db, id); });
}

Artifact Catalog::artifact(const std::string& reference) {
  return impl_->read(
      [&](Connection& db) { return find(db, resolve_artifact(db, reference)).value(); });
}

std::vector<Artifact> Catalog::artifacts(const ArtifactFilter& wanted) {
  return impl_->read([&](Connection& db) {
    Filter filter;
    filter.equals("database", wanted.database);
    filter.equals("job", wanted.job);
    filter.equals("repository", wanted.repository);
    if (!wanted.control && wanted.database != kControlName && wanted.job != kControlName) {
      filter.add(not_control());
    }
    Statement statement = db.prepare(
        cat(select_sql(kTable), filter.sql(), " ORDER BY created_at DESC, id DESC LIMIT ?"));
    statement.bind(filter.bind(statement), std::int64_t{wanted.limit.value_or(-1)});
    return read_rows(statement, read_one);
  });
}

std::vector<std::string> Catalog::accept_artifact(const std::string& id) {
  return impl_->write([&](Connection& db) {
    const Artifact artifact = get(db, id);
    const util::TimePoint now = impl_->clock.now();
    Statement statement = db.prepare(
        "UPDATE artifacts SET accepted_at = ?4"
        " WHERE (id = ?1 OR (job = ?2 AND job <> '' AND created_at <= ?3))"
        " AND suspicions <> '[]' AND accepted_at IS NULL RETURNING id");
    bind_fields(statement, std::tie(id, artifact.job, artifact.created_at, now));
    auto accepted = read_rows(statement, [](const Statement& row) { return row.string(0); });
    std::sort(accepted.begin(), accepted.end());
    return accepted;
  });
}

void Catalog::remove_artifact(const std::string& id) {
  impl_->write([&](Connection& db) {
    const Artifact artifact = get(db, id);
    const std::vector<Hold> holds = holds_in_force(db, id, impl_->clock.now());
    if (!holds.empty()) {
      const std::string& reason = holds.front().reason;
      throw Error(
          ErrorCode::refused,
          cat("artifact ", id, " is held", reason.empty() ? "" : ": ", util::printable(reason)),
          cat("\"dbbackupctl artifact release ", id, "\" lets it go"));
    }
    Statement statement = db.prepare("DELETE FROM artifacts WHERE id=?");
    bind_value(statement, 1, id);
    statement.run();
    refresh_job_summary(db, artifact.job);
  });
}

}  // namespace dbbackup::catalog
