#include "engine/sqlite/restore.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "engine/sqlite/artifact_pages.hpp"
#include "engine/sqlite/backup.hpp"
#include "engine/sqlite/checks.hpp"
#include "engine/sqlite/proof.hpp"
#include "engine/sqlite/read_back.hpp"
#include "engine/sqlite/table_source.hpp"
#include "engine/sqlite/target_file.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Handing dirty pages to the disk early, instead of all at once in fsync.
constexpr std::uint64_t kWritebackBytes = std::uint64_t{16} << 20U;
constexpr int kCacheKiB = 8192;

void write_at(int fd, std::uint64_t offset, util::ByteView content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written =
        ::pwrite(fd, content.data(), content.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw util::system_error(cat("cannot write ", path), errno);
    content = content.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

// Returns the bytes written.
std::uint64_t stage_pages(repository::ArtifactReader& reader, const StagedFile& staged,
                          unsigned workers, ReadBack* read_back, util::Task& task) {
  const auto stream = reader.open(kPagesStream);
  const std::uint64_t size = stream->chunk_offset(stream->chunk_count());
  task.progress().bytes_total = size;
  task.progress().streams_total = 1;
  std::uint64_t flushed = 0;
  const auto take = [&](std::uint64_t offset, util::ByteView piece) {
    write_at(staged.fd(), offset, piece, staged.path());
    if (read_back != nullptr) read_back->expect(offset, piece);
    const std::uint64_t end = offset + piece.size();
    task.progress().bytes += piece.size();
    if (end - flushed < kWritebackBytes) return;
    ::sync_file_range(staged.fd(), static_cast<off_t>(flushed), static_cast<off_t>(end - flushed),
                      SYNC_FILE_RANGE_WRITE);  // only advice: fsync decides
    flushed = end;
  };
  // One more than asked for: the thread that writes waits for the disk now and then.
  stream->read_all(take, workers + 1, task);
  ++task.progress().streams_done;
  return size;
}

// A drill has proved rows and structure of these very pages, so it is enough that they arrived.
RestoreResult restore_proved(StagedFile& staged, repository::ArtifactReader& reader,
                             const RestoreRequest& request, util::Task& task) {
  ReadBack read_back(staged.fd(), staged.path());
  stage_pages(reader, staged, request.scope.parallel, &read_back, task);
  staged.sync();
  read_back.finish();
  task.info(cat("every byte of the file was read back and is what run ", *request.proved_by,
                " has proved"));
  RestoreResult result;
  result.fingerprint = reader.summary().proof;
  result.proved_by_bytes = true;
  return result;
}

RestoreResult check_and_prove(Sessions& sessions, const std::vector<Unit>& more,
                              const RestoreRequest& request, util::Task& task) {
  RestoreResult result;
  for (const auto& session : sessions.readers) {
    session->connection().execute(cat("PRAGMA cache_size=-", kCacheKiB));
  }
  sqlite::Connection& first = sessions.front();
  const Schema schema = read_schema(first);
  const Scope everything;
  Proof proof(schema, everything, task);
  std::vector<Unit> units = proof.units(first);
  units.insert(units.begin(), [&](sqlite::Connection& connection, const std::stop_token&) {
    require_intact(connection, request, result.warnings);
  });
  units.insert(units.begin(), more.begin(), more.end());
  run_units(sessions, units, task);
  result.fingerprint = proof.result();
  return result;
}

void copy_into_live(sqlite::PageSource& source, const TargetSettings& target, util::Task& task) {
  Session from(source.open(), task.stop());
  Session to(sqlite::Connection(target.path, sqlite::OpenMode::read_write), task.stop());
  to.connection().set_busy_timeout(target.busy_timeout, task.stop());
  source.run([&] {
    sqlite::copy_pages_into(
        from.connection(), to.connection(), target.busy_timeout,
        [&](std::uint64_t bytes) { task.progress().bytes = bytes; }, task.stop());
  });
}

// What stands in the live target now; other programs may have written already.
RestoreResult prove_live(const TargetSettings& target, const RestoreRequest& request,
                         util::Task& task) {
  Sessions sessions = open_snapshot(target.path, request.scope.parallel, target.busy_timeout, task);
  RestoreResult result = check_and_prove(sessions, {}, request, task);
  result.warnings.push_back(
      cat(target.path,
          " is or may be open in other programs, so its content was replaced through SQLite"));
  return result;
}

// The staged file is read as a database through our own descriptor: no locks, no -wal and -shm
// beside it.
sqlite::PageSource staged_source(const StagedFile& staged, std::uint64_t size) {
  return {staged.path(), size, [&staged](std::uint64_t offset, std::span<std::uint8_t> out) {
            read_at(staged.fd(), offset, out, staged.path());
          }};
}

RestoreResult restore_and_prove(StagedFile& staged, repository::ArtifactReader& reader,
                                const RestoreRequest& request, util::Task& task) {
  const std::uint64_t size = stage_pages(reader, staged, request.scope.parallel, nullptr, task);
  sqlite::PageSource source = staged_source(staged, size);
  return source.run([&] {
    Sessions sessions = open_sessions(source, request.scope.parallel, task.stop());
    const Unit sync = [&](sqlite::Connection&, const std::stop_token&) { staged.sync(); };
    return check_and_prove(sessions, {sync}, request, task);
  });
}

// Whoever has the target open, nothing is replaced before all of it has been checked.
RestoreResult restore_whole(const TargetSettings& target, repository::ArtifactReader& reader,
                            const RestoreRequest& request, util::Task& task) {
  StagedFile staged(target.path);
  RestoreResult result = request.proved_by ? restore_proved(staged, reader, request, task)
                                           : restore_and_prove(staged, reader, request, task);
  task.check();
  if (provably_not_open(target.path)) {
    staged.publish();
    return result;
  }
  task.info(cat(target.path,
                " is or may be open in other programs; replacing its content through SQLite"));
  sqlite::PageSource source = staged_source(staged, task.progress().bytes_total);
  copy_into_live(source, target, task);
  return prove_live(target, request, task);
}

bool by_pages(const repository::ArtifactReader& reader, const RestoreRequest& request) {
  return has_stream(reader, kPagesStream) && request.scope.everything() &&
         request.mode != RestoreMode::append;
}

// The file behind symbolic links: renaming over a link would only replace the link.
TargetSettings resolved(TargetSettings target) {
  std::error_code error;
  const auto path = std::filesystem::weakly_canonical(target.path, error);
  if (!error) target.path = path.string();
  return target;
}
}  // namespace

void require_intact(sqlite::Connection& connection, const RestoreRequest& request,
                    std::vector<std::string>& warnings) {
  if (!request.integrity_check) {
    warnings.push_back("integrity and foreign keys were not checked, as asked for");
    return;
  }
  const CheckResult check = check_integrity(connection, CheckLevel::full);
  if (!check.damage.empty()) {
    throw Error(ErrorCode::verification_failed,
                cat("the restored database is damaged: ", check.damage.front()),
                "the artifact was made from a damaged database or does not fit this SQLite; try an "
                "older one");
  }
  warnings.insert(warnings.end(), check.violations.begin(), check.violations.end());
  for (std::string& sentence : check_foreign_keys(connection)) {
    warnings.push_back(std::move(sentence));
  }
}

TargetState look_at_target(const TargetSettings& target, util::Task& task) {
  TargetState state;
  struct stat status {};
  if (::stat(target.path.c_str(), &status) != 0) {
    if (errno == ENOENT) return state;
    throw util::system_error(cat("cannot look at ", target.path), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::refused, cat("the target ", target.path, " is not a regular file"));
  }
  state.exists = true;
  try {
    Sessions sessions = open_snapshot(target.path, 1, target.busy_timeout, task);
    for (const SchemaEntry& entry : read_schema(sessions.front()).entries) {
      if (entry.type == "table" && !is_internal(entry.name)) state.tables.push_back(entry.name);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::source_damaged) throw;
    state.is_database = false;
  }
  return state;
}

RestoreResult restore_file(const TargetSettings& given, repository::ArtifactReader& reader,
                           const RestoreRequest& request, util::Task& task) {
  const TargetSettings target = resolved(given);
  refuse_protected(target.path, target.protected_files);
  const TargetState state = look_at_target(target, task);
  if (request.mode == RestoreMode::create && !state.empty()) {
    throw Error(
        ErrorCode::refused,
        state.is_database
            ? cat("the target ", target.path, " already holds ", state.tables.size(), " tables")
            : cat("the target ", target.path, " is a file that is not a SQLite database"),
        "use --mode replace to overwrite it, --mode append to add rows, or another target");
  }
  return by_pages(reader, request) ? restore_whole(target, reader, request, task)
                                   : restore_rows(target, state, reader, request, task);
}

RestorePlan plan_file_restore(const TargetSettings& given, repository::ArtifactReader& reader,
                              const RestoreRequest& request, util::Task& task) {
  const TargetSettings target = resolved(given);
  refuse_protected(target.path, target.protected_files);
  const TargetState state = look_at_target(target, task);
  RestorePlan plan;
  plan.target_exists = state.exists;
  plan.target_empty = state.empty();
  const Schema chosen = choose(open_table_source(reader, task)->schema(), request.scope);
  for (const SchemaEntry& entry : chosen.entries) {
    if (entry.type == "table" && !is_internal(entry.name)) plan.tables.push_back(entry.name);
  }
  if (by_pages(reader, request)) {
    plan.steps.push_back(cat("Write all pages into a temporary file beside ", target.path, "."));
    plan.steps.push_back(request.integrity_check
                             ? "Check its integrity and foreign keys, and compute its fingerprint."
                             : "Compute its fingerprint; no integrity check, as asked for.");
    plan.steps.push_back(
        state.exists
            ? cat("Replace ", target.path,
                  " by it: by a rename if no program has it open, otherwise through SQLite.")
            : cat("Rename it to ", target.path, "."));
    return plan;
  }
  plan.steps.push_back(state.exists ? cat("Open a transaction on ", target.path, ".")
                                    : cat("Create a temporary database beside ", target.path, "."));
  if (request.mode == RestoreMode::replace && state.exists) {
    plan.steps.push_back(cat("Drop those of the ", plan.tables.size(),
                             " chosen tables that exist; other tables stay."));
  }
  plan.steps.push_back(cat("Create missing tables and insert the rows of ", plan.tables.size(),
                           " tables, then indexes and triggers."));
  plan.steps.push_back(
      state.exists ? "Check, compute the fingerprint and commit."
                   : cat("Check, compute the fingerprint and rename it to ", target.path, "."));
  return plan;
}

void write_database_file(const std::string& path, repository::ArtifactReader& reader,
                         util::Task& task) {
  if (!has_stream(reader, kPagesStream)) {
    RestoreRequest request;
    request.mode = RestoreMode::replace;
    request.integrity_check = false;
    restore_rows({path, {}, {}}, {}, reader, request, task);
    return;
  }
  StagedFile staged(path);
  stage_pages(reader, staged, RestoreRequest().scope.parallel, nullptr, task);
  staged.sync();
  staged.publish();
}

}  // namespace dbbackup::engine::sqlite_engine
