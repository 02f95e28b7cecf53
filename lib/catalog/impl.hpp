// What the members of Catalog stand on: the connections, the clock, the secrets.
//
// Three connections to one file, because each answers a different wish. The writer commits with
// synchronous=FULL: what a member wrote is on disk when it returns. The log writer commits with
// synchronous=NORMAL: a log line costs microseconds instead of an fsync, and a power cut may take
// the newest lines but nothing else (the next full commit makes them durable, since they share one
// WAL). The reader lets status answer while the writer waits for the disk; in WAL mode it always
// sees the last commit.
//
// Threads: safe from any thread; the two writers share one mutex, so that they never meet as
// SQLITE_BUSY.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <type_traits>

#include "catalog/catalog.hpp"
#include "catalog/secret_box.hpp"
#include "sqlite/sqlite.hpp"
#include "util/ulid.hpp"

namespace dbbackup::catalog {

struct Catalog::Impl {
  Impl(const std::filesystem::path& path, const crypto::Secret& daemon_key,
       const util::Clock& wall_clock);
  // Seals with the daemon's key what a later start opens, or refuses a key that does not open it.
  void check_daemon_key();

  // Runs body(connection) and returns what it returns.
  template <typename Body>
  auto read(Body body) {
    const std::scoped_lock lock(read_mutex);
    return body(reader);
  }
  // As read(), as one transaction that is durable on return and undone when the body throws.
  template <typename Body>
  auto write(Body body) {
    const std::scoped_lock lock(write_mutex);
    return transact(writer, [&](sqlite::Connection& db) {
      require_fence(db);
      return body(db);
    });
  }
  // As write(), but a power cut may take it.
  template <typename Body>
  auto write_log(Body body) {
    const std::scoped_lock lock(write_mutex);
    return transact(log_writer, [&](sqlite::Connection& db) {
      require_fence(db);
      return body(db);
    });
  }

  // lease.cpp
  std::int64_t take_lease(const std::string& holder);
  void release_lease();

  const std::filesystem::path file;
  const util::Clock& clock;
  const SecretBox box;
  util::UlidSource ids;
  std::atomic<std::uint64_t> schedules_version = 1;  // raised after the commit

 private:
  template <typename Body>
  static auto transact(sqlite::Connection& db, Body body) {
    sqlite::Transaction transaction(db);
    if constexpr (std::is_void_v<decltype(body(db))>) {
      body(db);
      transaction.commit();
    } else {
      auto result = body(db);
      transaction.commit();
      return result;
    }
  }
  // Nothing to require before a lease was taken. Errors: conflict, when it was lost. lease.cpp
  void require_fence(sqlite::Connection& db);
  // Of the lease that this process holds; guarded by write_mutex.
  std::optional<std::int64_t> fence_;

  std::mutex write_mutex;
  std::mutex read_mutex;
  sqlite::Connection writer;
  sqlite::Connection log_writer;
  sqlite::Connection reader;
};

}  // namespace dbbackup::catalog
