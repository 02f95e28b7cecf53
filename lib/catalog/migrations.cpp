#include "catalog/migrations.hpp"

#include <array>
#include <string>

#include "catalog/catalog.hpp"
#include "catalog/private_copy.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

namespace fs = std::filesystem;
using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
// What the tables mean is told in README.md.
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE databases (
  name                  TEXT PRIMARY KEY,
  engine                TEXT NOT NULL,
  url                   TEXT NOT NULL,
  options               TEXT NOT NULL,
  is_protected          INTEGER NOT NULL,
  restore_allowed_until INTEGER,
  created               INTEGER NOT NULL,
  password              BLOB
) STRICT;

CREATE TABLE repositories (
  name           TEXT PRIMARY KEY,
  url            TEXT NOT NULL,
  options        TEXT NOT NULL,
  repository_id  TEXT NOT NULL,
  created        INTEGER NOT NULL,
  secret_options BLOB,
  artifacts      INTEGER NOT NULL DEFAULT 0,
  stored_bytes   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE jobs (
  name             TEXT PRIMARY KEY,
  last_run         TEXT,
  last_state       TEXT,
  last_finished_at INTEGER,
  last_success_at  INTEGER,
  max_age          INTEGER,
  database         TEXT NOT NULL REFERENCES databases,
  repository       TEXT NOT NULL REFERENCES repositories,
  type             TEXT NOT NULL,
  include_globs    TEXT NOT NULL,
  exclude_globs    TEXT NOT NULL,
  conditions       TEXT NOT NULL,
  parallel         INTEGER NOT NULL,
  keep_last        INTEGER NOT NULL,
  keep_hourly      INTEGER NOT NULL,
  keep_daily       INTEGER NOT NULL,
  keep_weekly      INTEGER NOT NULL,
  keep_monthly     INTEGER NOT NULL,
  keep_yearly      INTEGER NOT NULL,
  keep_within      INTEGER,
  retries          INTEGER NOT NULL,
  retry_delay      INTEGER,
  timeout          INTEGER,
  pre_hook         TEXT NOT NULL,
  post_hook        TEXT NOT NULL,
  options          TEXT NOT NULL,
  created          INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_database ON jobs (database);
CREATE INDEX jobs_by_repository ON jobs (repository);

-- `target` is a job or a repository, by kind; the two generated columns carry the foreign keys.
CREATE TABLE schedules (
  name          TEXT PRIMARY KEY,
  kind          TEXT NOT NULL,
  target        TEXT NOT NULL,
  cron          TEXT NOT NULL,
  timezone      TEXT NOT NULL,
  jitter        INTEGER,
  catch_up      INTEGER NOT NULL,
  queue_overlap INTEGER NOT NULL,
  windows       TEXT NOT NULL,
  paused        INTEGER NOT NULL,
  created       INTEGER NOT NULL,
  handled_until INTEGER,
  last_run_at   INTEGER,
  last_run      TEXT NOT NULL DEFAULT '',
  job           TEXT REFERENCES jobs ON DELETE CASCADE
                GENERATED ALWAYS AS (CASE WHEN kind IN ('job', 'drill') THEN target END) STORED,
  repository    TEXT REFERENCES repositories ON DELETE CASCADE
                GENERATED ALWAYS AS (CASE WHEN kind IN ('check', 'prune') THEN target END) STORED
) STRICT;
CREATE INDEX schedules_by_job ON schedules (job);
CREATE INDEX schedules_by_repository ON schedules (repository);

-- Runs and artifacts name databases and jobs without references: history outlives what it is about.
CREATE TABLE runs (
  id            TEXT PRIMARY KEY,
  kind          TEXT NOT NULL,
  job           TEXT NOT NULL,
  database      TEXT NOT NULL,
  repository    TEXT NOT NULL,
  schedule      TEXT NOT NULL,
  type          TEXT NOT NULL,
  state         TEXT NOT NULL,
  attempt       INTEGER NOT NULL,
  queued_at     INTEGER NOT NULL,
  started_at    INTEGER,
  finished_at   INTEGER,
  streams_done  INTEGER NOT NULL,
  streams_total INTEGER NOT NULL,
  rows          INTEGER NOT NULL,
  bytes         INTEGER NOT NULL,
  bytes_total   INTEGER NOT NULL,
  artifact      TEXT NOT NULL,
  warnings      TEXT NOT NULL,
  request       TEXT NOT NULL,
  result        TEXT NOT NULL,
  error_code    TEXT NOT NULL,
  error_message TEXT NOT NULL,
  error_hint    TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_job ON runs (job, id);
CREATE INDEX runs_by_database ON runs (database, id);
CREATE INDEX runs_by_state ON runs (state, id);

CREATE TABLE log_lines (
  run      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  number   INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  severity TEXT NOT NULL,
  line     TEXT NOT NULL,
  PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  id                   TEXT PRIMARY KEY,
  name                 TEXT NOT NULL,
  job                  TEXT NOT NULL,
  database             TEXT NOT NULL,
  repository           TEXT NOT NULL REFERENCES repositories ON DELETE CASCADE,
  engine               TEXT NOT NULL,
  server_version       TEXT NOT NULL,
  type                 TEXT NOT NULL,
  base                 TEXT NOT NULL,
  state                TEXT NOT NULL,
  created_at           INTEGER NOT NULL,
  started_at           INTEGER NOT NULL,
  consistency_kind     TEXT NOT NULL,
  consistency_position TEXT NOT NULL,
  streams              INTEGER NOT NULL,
  rows                 INTEGER NOT NULL,
  source_bytes         INTEGER NOT NULL,
  added_bytes          INTEGER NOT NULL,
  warnings             TEXT NOT NULL,
  skipped              TEXT NOT NULL,
  proof_run            TEXT NOT NULL,
  proved_at            INTEGER
) STRICT;
CREATE INDEX artifacts_by_time ON artifacts (created_at, id);
CREATE INDEX artifacts_by_job ON artifacts (job, created_at, id);
CREATE INDEX artifacts_by_database ON artifacts (database, created_at, id);
CREATE INDEX artifacts_by_repository ON artifacts (repository, created_at, id);

CREATE TRIGGER usage_after_insert AFTER INSERT ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts + 1, stored_bytes = stored_bytes + NEW.added_bytes
    WHERE name = NEW.repository;
END;
CREATE TRIGGER usage_after_delete AFTER DELETE ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts - 1, stored_bytes = stored_bytes - OLD.added_bytes
    WHERE name = OLD.repository;
END;
CREATE TRIGGER usage_after_update AFTER UPDATE OF repository, added_bytes ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts - 1, stored_bytes = stored_bytes - OLD.added_bytes
    WHERE name = OLD.repository;
  UPDATE repositories SET artifacts = artifacts + 1, stored_bytes = stored_bytes + NEW.added_bytes
    WHERE name = NEW.repository;
END;

CREATE TABLE holds (
  id       TEXT PRIMARY KEY,
  artifact TEXT NOT NULL REFERENCES artifacts ON DELETE CASCADE,
  reason   TEXT NOT NULL,
  until    INTEGER,
  created  INTEGER NOT NULL
) STRICT;
CREATE INDEX holds_by_artifact ON holds (artifact);

CREATE TABLE events (
  id      TEXT PRIMARY KEY,
  at      INTEGER NOT NULL,
  uid     INTEGER NOT NULL,
  user    TEXT NOT NULL,
  pid     INTEGER NOT NULL,
  action  TEXT NOT NULL,
  object  TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);
)sql";

// Retries, limits of time, and the lease.
constexpr std::string_view kVersion2 = R"sql(
ALTER TABLE jobs ADD COLUMN retry_max_delay INTEGER;
ALTER TABLE jobs ADD COLUMN stall_timeout INTEGER;
ALTER TABLE jobs ADD COLUMN hook_timeout INTEGER;

ALTER TABLE runs ADD COLUMN earlier_attempts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE runs ADD COLUMN start_after INTEGER;
ALTER TABLE runs ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN heartbeat_at INTEGER;

-- One row: which daemon may write here. `renewed_at` is NULL once it has gone in good order.
CREATE TABLE lease (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  fence      INTEGER NOT NULL,
  holder     TEXT NOT NULL,
  renewed_at INTEGER
) STRICT;
INSERT INTO lease VALUES (1, 0, '', NULL);
)sql";

// How long did the last runs of this schedule take?
constexpr std::string_view kVersion3 = R"sql(
CREATE INDEX runs_by_schedule ON runs (schedule, id);
)sql";

// Retention by the job's calendar, suspicious artifacts, and a repository's figures without the
// backups of the control database itself.
constexpr std::string_view kVersion4 = R"sql(
ALTER TABLE jobs ADD COLUMN timezone TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN max_row_drop INTEGER NOT NULL DEFAULT 50;
ALTER TABLE artifacts ADD COLUMN suspicions TEXT NOT NULL DEFAULT '[]';
ALTER TABLE artifacts ADD COLUMN accepted_at INTEGER;
CREATE INDEX runs_by_job_and_kind ON runs (job, kind, id);

DROP TRIGGER usage_after_insert;
DROP TRIGGER usage_after_delete;
DROP TRIGGER usage_after_update;
CREATE TRIGGER usage_after_insert AFTER INSERT ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts + (NEW.database <> 'dbbackup-control'),
    stored_bytes = stored_bytes + NEW.added_bytes WHERE name = NEW.repository;
END;
CREATE TRIGGER usage_after_delete AFTER DELETE ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts - (OLD.database <> 'dbbackup-control'),
    stored_bytes = stored_bytes - OLD.added_bytes WHERE name = OLD.repository;
END;
CREATE TRIGGER usage_after_update AFTER UPDATE OF repository, added_bytes ON artifacts BEGIN
  UPDATE repositories SET artifacts = artifacts - (OLD.database <> 'dbbackup-control'),
    stored_bytes = stored_bytes - OLD.added_bytes WHERE name = OLD.repository;
  UPDATE repositories SET artifacts = artifacts + (NEW.database <> 'dbbackup-control'),
    stored_bytes = stored_bytes + NEW.added_bytes WHERE name = NEW.repository;
END;
)sql";

constexpr std::array kMigrations{
    Migration{1, kVersion1},
    Migration{2, kVersion2},
    Migration{3, kVersion3},
    Migration{4, kVersion4},
};
static_assert(kMigrations.back().version == Catalog::kSchemaVersion);

std::int64_t read_number(Connection& db, std::string_view sql) {
  Statement statement = db.prepare(sql);
  statement.step();
  return statement.integer(0);
}

void require_ours(Connection& db, const fs::path& file) {
  if (read_number(db, "PRAGMA application_id") == kApplicationId) return;
  throw Error(ErrorCode::config_invalid,
              cat(file.string(), " is a SQLite database of another program"),
              "choose another state folder, or move the file away");
}

void check_references(Connection& db) {
  Statement statement = db.prepare("PRAGMA foreign_key_check");
  if (!statement.step()) return;
  throw Error(ErrorCode::internal,
              cat("a row of table ", statement.text(0), " would refer to a missing row of table ",
                  statement.text(2)));
}

void migrate(Connection& db, std::int64_t version, std::span<const Migration> wanted) {
  sqlite::Transaction transaction(db);
  for (const Migration& migration : wanted) {
    if (migration.version > version) db.execute(migration.sql);
  }
  check_references(db);
  db.execute(cat("PRAGMA application_id=", kApplicationId));
  db.execute(cat("PRAGMA user_version=", wanted.back().version));
  util::kill_point("migration.in_transaction");
  transaction.commit();
  util::kill_point("migration.after_commit");
}
}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

void apply(Connection& db, const fs::path& file, std::span<const Migration> wanted) {
  const bool is_new = read_number(db, "SELECT count(*) FROM sqlite_schema") == 0;
  if (!is_new) require_ours(db, file);

  const std::int64_t version = read_number(db, "PRAGMA user_version");
  const int newest = wanted.back().version;
  if (version == newest) return;
  if (version > newest) {
    throw Error(ErrorCode::config_invalid,
                cat("control database ", file.string(), " has schema version ", version,
                    ", but this program knows only versions up to ", newest),
                cat("install the newer dbbackup again, or stop the daemon and put the copy ",
                    file.filename().string(), ".before-v", newest + 1, " in its place"));
  }

  db.execute("PRAGMA foreign_keys=OFF");
  try {
    if (!is_new) {
      write_private_copy(db, cat(file.string(), ".before-v", newest));
      util::kill_point("migration.after_copy");
    }
    migrate(db, version, wanted);
  } catch (const Error& error) {
    throw error.with_context(cat("control database ", file.string(), " stays at schema version ",
                                 version, ": cannot migrate it to version ", newest));
  }
}

}  // namespace dbbackup::catalog
