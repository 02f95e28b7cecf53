// A catalog in a folder of its own, with a clock that the test moves, and short ways to make nouns.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "catalog/catalog.hpp"
#include "crypto/cipher.hpp"
#include "support/manual_clock.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/ulid.hpp"

namespace dbbackup::test {

inline util::TimePoint time_of(const std::string& text) { return util::parse_time(text).value(); }

// The Error that `call` throws; fails the test when it throws none.
inline util::Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("no error was thrown");
  return {util::ErrorCode::internal, ""};
}

// In memory where the system offers it: the tests are about behaviour, and waiting for a disk at
// every commit makes them slow.
inline std::filesystem::path quick_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

struct CatalogFixture {
  util::TemporaryFolder folder{quick_folder(), "catalog-test"};
  std::filesystem::path file = folder.path() / "control.db";
  ManualClock clock{time_of("2026-11-20T12:00:00Z")};
  crypto::Secret key = crypto::random_key();
  util::UlidSource ids{clock};
  catalog::Catalog catalog{file, key, clock};

  catalog::Database add_database(const std::string& name, const std::string& password = {}) {
    catalog::Database database;
    database.name = name;
    database.engine = "sqlite";
    database.url = "sqlite:///data/" + name + ".db";
    database.created = clock.now();
    catalog.add_database(database, crypto::Secret::from_text(password));
    return catalog.database(name);
  }

  catalog::Repository add_repository(const std::string& name,
                                     const catalog::Options& secrets = {}) {
    catalog::Repository repository;
    repository.name = name;
    repository.url = "file:///backup/" + name;
    repository.repository_id = "id-of-" + name;
    repository.created = clock.now();
    catalog.add_repository(repository, secrets);
    return repository;
  }

  // Makes the database "shop" and the repository "main" when they are not there yet.
  catalog::Job add_job(const std::string& name) {
    if (!catalog.find_database("shop")) add_database("shop");
    if (!catalog.find_repository("main")) add_repository("main");
    catalog::Job job;
    job.name = name;
    job.database = "shop";
    job.repository = "main";
    job.created = clock.now();
    catalog.add_job(job);
    return job;
  }

  catalog::Schedule add_schedule(const std::string& name, catalog::ScheduleKind kind,
                                 const std::string& target) {
    catalog::Schedule schedule;
    schedule.name = name;
    schedule.kind = kind;
    schedule.target = target;
    schedule.cron = "0 2 * * *";
    schedule.timezone = "Europe/Berlin";
    schedule.created = clock.now();
    catalog.add_schedule(schedule);
    return schedule;
  }

  catalog::Run make_run(const std::string& job, catalog::RunState state) {
    catalog::Run run;
    run.id = ids.next();
    run.job = job;
    run.database = "shop";
    run.repository = "main";
    run.state = state;
    run.queued_at = clock.now();
    if (catalog::is_ended(state)) run.finished_at = clock.now();
    return run;
  }

  catalog::Run add_run(const std::string& job, catalog::RunState state) {
    const catalog::Run run = make_run(job, state);
    catalog.add_run(run);
    return run;
  }

  void add_event(const std::string& action) {
    catalog::Event event;
    event.action = action;
    event.outcome = "ok";
    catalog.add_event(event);
  }

  catalog::Artifact make_artifact(const std::string& job, const std::string& created_at,
                                  std::uint64_t added_bytes = 10) {
    catalog::Artifact artifact;
    artifact.id = ids.next();
    artifact.job = job;
    artifact.database = "shop";
    artifact.repository = "main";
    artifact.engine = "sqlite";
    artifact.type = "full";
    artifact.created_at = time_of(created_at);
    artifact.started_at = artifact.created_at - util::Seconds(3);
    artifact.added_bytes = added_bytes;
    return artifact;
  }

  // Needs the repository "main".
  catalog::Artifact add_artifact(const std::string& job, const std::string& created_at,
                                 std::uint64_t added_bytes = 10) {
    const catalog::Artifact artifact = make_artifact(job, created_at, added_bytes);
    catalog.put_artifact(artifact);
    return artifact;
  }
};

}  // namespace dbbackup::test
