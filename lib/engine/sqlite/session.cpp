#include "engine/sqlite/session.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr int kOptimisticAttempts = 5;
// Between the readers' beginnings: a writer that waits for the first reader keeps the second one
// out for ever.
constexpr util::Milliseconds kShortWait{100};
constexpr int kCacheKiB = 8192;

// BEGIN alone locks nothing; the read does.
void begin_reading(sqlite::Connection& connection) {
  connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema");
}

void end_reading(Sessions& sessions) {
  for (const auto& session : sessions.readers) {
    if (session->connection().in_transaction()) session->connection().execute("ROLLBACK");
  }
}

bool wal_has_content(const std::string& path) {
  struct stat status {};
  return ::stat((path + "-wal").c_str(), &status) == 0 && status.st_size > 0;
}

// SQLite's own words for a WAL database in a folder it may not write are "unable to open database
// file".
Error explained(const Error& error, const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const bool access = error.code() == ErrorCode::permission_denied ||
                      error.code() == ErrorCode::io || error.code() == ErrorCode::not_found;
  if (access && ::access(folder.c_str(), W_OK) != 0) {
    return {ErrorCode::permission_denied, error.message(),
            cat("a database in WAL mode is read through -wal and -shm files beside it: allow "
                "writing in ",
                folder, " (owner and mode; under systemd ReadWritePaths=", folder, ")")};
  }
  if (error.code() == ErrorCode::source_damaged) {
    return error.with_hint(
        "not a SQLite file, an encrypted one, or a damaged one; try `sqlite3 FILE 'PRAGMA "
        "integrity_check'`");
  }
  return error;
}

// The connection that watches for commits. Writable if possible: it also plays back the journal of
// a crashed writer, and may take the write lock.
std::unique_ptr<Session> open_watcher(const std::string& path, util::Milliseconds busy_timeout,
                                      bool& writable, util::Task& task) {
  const bool keep_wal = wal_has_content(path);
  for (const auto mode : {sqlite::OpenMode::read_write, sqlite::OpenMode::read_only}) {
    writable = mode == sqlite::OpenMode::read_write && ::access(path.c_str(), W_OK) == 0;
    if (mode == sqlite::OpenMode::read_write && !writable) continue;
    auto watcher = std::make_unique<Session>(sqlite::Connection(path, mode), task.stop());
    watcher->connection().set_busy_timeout(busy_timeout, task.stop());
    if (keep_wal) watcher->connection().keep_wal_on_close();
    pragma_integer(watcher->connection(), "schema_version");
    return watcher;
  }
  throw Error(ErrorCode::internal, cat("no way to open ", path));
}

bool begin_unobserved(Sessions& sessions) {
  sqlite::Connection& watcher = sessions.keeper->connection();
  try {
    const std::int64_t before = pragma_integer(watcher, "data_version");
    for (const auto& reader : sessions.readers) begin_reading(reader->connection());
    if (pragma_integer(watcher, "data_version") == before) return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
  }
  end_reading(sessions);
  return false;
}

void begin_under_write_lock(Sessions& sessions) {
  const sqlite::Transaction no_commits(sessions.keeper->connection());
  for (const auto& reader : sessions.readers) begin_reading(reader->connection());
}
}  // namespace

std::int64_t pragma_integer(sqlite::Connection& connection, std::string_view name) {
  auto statement = connection.prepare(cat("PRAGMA ", name));
  return statement.step() ? statement.integer(0) : 0;
}

std::string pragma_text(sqlite::Connection& connection, std::string_view name) {
  auto statement = connection.prepare(cat("PRAGMA ", name));
  return statement.step() ? statement.string(0) : std::string();
}

std::uint64_t require_database_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int error_number = errno;
    if (error_number == ENOENT) {
      throw Error(ErrorCode::not_found, cat("there is no database file ", path),
                  "check the path; the URL of a SQLite database is sqlite:///absolute/path.db");
    }
    throw util::system_error(cat("cannot look at ", path), error_number);
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::usage, cat(path, " is not a regular file"));
  }
  if (::access(path.c_str(), R_OK) != 0) {
    throw util::system_error(cat("cannot read ", path), errno);
  }
  return static_cast<std::uint64_t>(status.st_size);
}

Sessions open_snapshot(const std::string& path, unsigned wanted, util::Milliseconds busy_timeout,
                       util::Task& task) {
  require_database_file(path);
  try {
    bool writable = false;
    Sessions sessions;
    sessions.keeper = open_watcher(path, busy_timeout, writable, task);
    for (unsigned i = 0; i < std::max(wanted, 1U); ++i) {
      sessions.readers.push_back(std::make_unique<Session>(
          sqlite::Connection(path, sqlite::OpenMode::read_only), task.stop()));
      sqlite::Connection& reader = sessions.readers.back()->connection();
      // The pragma reads the schema, and so may have to wait for a writer.
      reader.set_busy_timeout(busy_timeout, task.stop());
      reader.execute(cat("PRAGMA cache_size=-", kCacheKiB));
      reader.set_busy_timeout(kShortWait, task.stop());
    }
    for (int attempt = 0; attempt < kOptimisticAttempts; ++attempt) {
      task.check();
      if (begin_unobserved(sessions)) return sessions;
    }
    for (const auto& reader : sessions.readers) {
      reader->connection().set_busy_timeout(busy_timeout, task.stop());
    }
    if (writable && sessions.readers.size() > 1) {
      begin_under_write_lock(sessions);
    } else {
      sessions.readers.resize(1);
      begin_reading(sessions.front());
    }
    return sessions;
  } catch (const Error& error) {
    task.check();
    throw explained(error, path);
  }
}

void run_units(Sessions& sessions, const std::vector<Unit>& units, const util::Task& task) {
  std::stop_source stop;
  const std::stop_callback outer(task.stop(), [&] { stop.request_stop(); });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](sqlite::Connection& connection) {
    try {
      while (!stop.stop_requested()) {
        const std::size_t unit = next++;
        if (unit >= units.size()) return;
        units[unit](connection, stop.get_token());
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
      stop.request_stop();
      for (const auto& session : sessions.readers) session->connection().interrupt();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < sessions.readers.size(); ++i) {
      threads.emplace_back([&, i] { work(sessions.readers[i]->connection()); });
    }
    work(sessions.front());
  }
  task.check();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dbbackup::engine::sqlite_engine
