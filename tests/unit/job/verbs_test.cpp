// The verbs on a small real database: SQLite in, repository in a folder, SQLite out.
#include "job/verbs.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "job/maintain.hpp"
#include "sqlite/sqlite.hpp"
#include "unit/job/shop_fixture.hpp"
#include "util/json.hpp"

namespace dbbackup::job {
namespace {

namespace fs = std::filesystem;
using catalog::ArtifactState;
using catalog::RunKind;
using test::require_succeeded;
using test::ShopFixture;

}  // namespace

TEST_CASE("verbs: a backup becomes an artifact of its job", "[job]") {
  ShopFixture fixture;
  const Run run = fixture.back_up();
  require_succeeded(run);
  const catalog::Artifact artifact = fixture.catalog.artifact(run.artifact);
  CHECK(artifact.name == "shop@test-host--20261120T120000Z");
  CHECK(artifact.job == "nightly");
  CHECK(artifact.database == "shop");
  CHECK(artifact.repository == "main");
  CHECK(artifact.engine == "sqlite");
  CHECK(artifact.state == ArtifactState::sealed);
  CHECK(artifact.rows >= 500);
  CHECK(run.bytes == run.bytes_total);
  CHECK(run.streams_done == run.streams_total);
  CHECK(fixture.repositories.get("main")->find(run.artifact));
  CHECK(fixture.catalog.artifact("latest:nightly").id == run.artifact);
  CHECK_FALSE(fixture.catalog.log(run.id).empty());
  CHECK(fixture.catalog.events({}, {}).back().action == "run.succeeded");
}

TEST_CASE("verbs: a backup of a source that is not there fails and leaves no artifact", "[job]") {
  ShopFixture fixture;
  fs::remove(fixture.source);
  const Run run = fixture.back_up();
  CHECK(run.state == RunState::failed);
  REQUIRE(run.error);
  CHECK(run.error->code == "not_found");
  CHECK(run.artifact.empty());
  CHECK(fixture.catalog.artifacts({}).empty());
  CHECK(fixture.repositories.get("main")->list().empty());
}

TEST_CASE("verbs: a backup that is cancelled leaves no artifact", "[job]") {
  ShopFixture fixture;
  fixture.on_line = [&](std::string_view line) {
    if (line.starts_with("backing up shop")) {
      fixture.runner.cancel(fixture.catalog.runs({}).front().id);
    }
  };
  const Run run = fixture.back_up();
  CHECK(run.state == RunState::cancelled);
  CHECK(fixture.repositories.get("main")->list().empty());
}

TEST_CASE("verbs: a drill proves an artifact and leaves no scratch behind", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  const Run drill = fixture.on_artifact(RunKind::drill, id);
  require_succeeded(drill);
  const catalog::Artifact artifact = fixture.catalog.artifact(id);
  CHECK(artifact.state == ArtifactState::proved);
  CHECK(artifact.proof_run == drill.id);
  CHECK(fs::is_empty(fixture.services.scratch_folder));
  const util::json::Object result = util::json::parse(drill.result).as_object();
  CHECK(util::json::get_int(result, "tables").value() >= 2);
  CHECK(util::json::get_array(result, "differences")->empty());
}

TEST_CASE("verbs: a restore needs permission, an empty target and the same engine", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  Request request;
  request.target = "shop2";
  const Run refused = fixture.on_artifact(RunKind::restore, id, request);
  CHECK(refused.error.value().code == "refused");
  CHECK(refused.error->hint == "dbbackupctl database allow-restore shop2 --for 10m");
  CHECK_FALSE(fs::exists(fixture.folder.path() / "shop2.db"));

  fixture.allow_restore("shop2");
  require_succeeded(fixture.on_artifact(RunKind::restore, id, request));
  CHECK(fixture.rows_of(fixture.folder.path() / "shop2.db") == 500);
  CHECK(fixture.state_of_artifact(id) == ArtifactState::proved);

  const Run again = fixture.on_artifact(RunKind::restore, id, request);
  CHECK(again.error.value().code == "refused");
  request.mode = "sideways";
  CHECK(fixture.on_artifact(RunKind::restore, id, request).error.value().code == "usage");

  fixture.clock.advance(std::chrono::hours(1));
  request.mode = "replace";
  CHECK(fixture.on_artifact(RunKind::restore, id, request).error.value().code == "refused");
  fixture.allow_restore("shop2");
  require_succeeded(fixture.on_artifact(RunKind::restore, id, request));
}

TEST_CASE("verbs: the control database is never a restore target", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  fixture.add_file_database("control", fixture.file);
  fixture.allow_restore("control");
  Request request;
  request.target = "control";
  request.mode = "replace";
  CHECK(fixture.on_artifact(RunKind::restore, id, request).error.value().code == "refused");
}

TEST_CASE("verbs: damage is found, named and remembered", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  require_succeeded(fixture.on_artifact(RunKind::verify, id));
  CHECK(fixture.state_of_artifact(id) == ArtifactState::checked);

  fixture.damage_packs();
  const RunKind kind = GENERATE(RunKind::verify, RunKind::check, RunKind::drill);
  CAPTURE(catalog::run_kind_name(kind));
  Request everything;
  everything.read_percent = 100;
  const Run run = fixture.on_artifact(kind, id, everything);
  CHECK(run.state == RunState::failed);
  CHECK(run.error.value().code == "verification_failed");
  CHECK(fixture.state_of_artifact(id) == ArtifactState::damaged);
}

TEST_CASE("verbs: a check that reads everything marks the artifacts", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  require_succeeded(fixture.on_repository(RunKind::check));
  CHECK(fixture.state_of_artifact(id) == ArtifactState::sealed);
  Request everything;
  everything.read_percent = 100;
  const Run run = fixture.on_repository(RunKind::check, everything);
  require_succeeded(run);
  CHECK(fixture.state_of_artifact(id) == ArtifactState::checked);
  CHECK(util::json::get_int(util::json::parse(run.result).as_object(), "artifacts") == 1);
}

TEST_CASE("verbs: a rescan makes the catalog agree with the repository", "[job]") {
  ShopFixture fixture;
  const std::string kept = fixture.back_up().artifact;
  const std::string vanished = fixture.back_up().artifact;
  const std::string forgotten = fixture.back_up().artifact;
  fixture.repositories.get("main")->remove(vanished);
  fixture.catalog.add_hold(vanished, "audit", {});
  fixture.catalog.remove_artifact(forgotten);
  const Run run = fixture.on_repository(RunKind::rescan);
  require_succeeded(run);
  CHECK(fixture.catalog.find_artifact(kept));
  CHECK(fixture.catalog.find_artifact(forgotten));
  CHECK_FALSE(fixture.catalog.find_artifact(vanished));
  REQUIRE(run.warnings.size() == 1);
  CHECK(run.warnings.front().find(vanished) != std::string::npos);
}

TEST_CASE("verbs: an artifact that a dead run had sealed is found at the next start", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  fixture.catalog.remove_artifact(id);
  reconcile(fixture.services, "main");
  CHECK(fixture.catalog.artifact(id).job == "nightly");
}

TEST_CASE("verbs: prune removes what no artifact needs and keeps the rest", "[job]") {
  ShopFixture fixture;
  const std::string kept = fixture.back_up().artifact;
  {
    sqlite::Connection shop(fixture.source.string(), sqlite::OpenMode::read_write);
    shop.execute("UPDATE orders SET note = hex(randomblob(200))");
  }
  const std::string removed = fixture.back_up().artifact;
  fixture.repositories.get("main")->remove(removed);
  fixture.catalog.remove_artifact(removed);
  require_succeeded(fixture.on_repository(RunKind::prune));
  require_succeeded(fixture.on_repository(RunKind::prune));
  require_succeeded(fixture.on_artifact(RunKind::drill, kept));
}

TEST_CASE("verbs: the oldest run on a repository holds back its prune", "[job]") {
  ShopFixture fixture;
  CHECK_FALSE(oldest_running(fixture.catalog, "main"));
  for (const char* started : {"2026-11-20T11:00:00Z", "2026-11-20T10:00:00Z"}) {
    Run run = fixture.make_run("nightly", RunState::running);
    run.started_at = test::time_of(started);
    fixture.catalog.add_run(run);
  }
  Run elsewhere = fixture.make_run("nightly", RunState::running);
  elsewhere.repository = "other";
  elsewhere.started_at = test::time_of("2026-11-20T09:00:00Z");
  fixture.catalog.add_run(elsewhere);
  CHECK(oldest_running(fixture.catalog, "main") == test::time_of("2026-11-20T10:00:00Z"));
  // A restore reads what a prune might delete. The prune itself does not count.
  Run restore = fixture.make_run("", RunState::running);
  restore.kind = RunKind::restore;
  restore.started_at = test::time_of("2026-11-20T08:00:00Z");
  fixture.catalog.add_run(restore);
  CHECK(oldest_running(fixture.catalog, "main") == restore.started_at);
  CHECK(oldest_running(fixture.catalog, "main", restore.id) ==
        test::time_of("2026-11-20T10:00:00Z"));
}

TEST_CASE("verbs: an artifact is exported in every format", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  const auto exported = [&](const std::string& format, const std::string& to) {
    Request request;
    request.format = format;
    request.file = (fixture.folder.path() / to).string();
    return fixture.on_artifact(RunKind::export_, id, request);
  };
  const Run csv = exported("csv", "out");
  require_succeeded(csv);
  CHECK(util::json::get_int(util::json::parse(csv.result).as_object(), "rows") == 500);
  CHECK(fs::exists(fixture.folder.path() / "out/data/orders.csv"));
  require_succeeded(exported("native", "out.db"));
  CHECK(fixture.rows_of(fixture.folder.path() / "out.db") == 500);
  require_succeeded(exported("sql", "out.sql"));
  require_succeeded(exported("json", "out.zip"));
  require_succeeded(exported("archive", "out.dbbackup"));
  CHECK(exported("csv", "out").error.value().code == "already_exists");
  CHECK(exported("xml", "other").error.value().code == "usage");
}

TEST_CASE("verbs: an archive is imported elsewhere, or restored as it is", "[job]") {
  ShopFixture fixture;
  const std::string id = fixture.back_up().artifact;
  Request request;
  request.format = "archive";
  request.file = (fixture.folder.path() / "one.dbbackup").string();
  require_succeeded(fixture.on_artifact(RunKind::export_, id, request));

  fixture.add_file_repository("second", fixture.folder.path() / "second");
  Run import;
  import.kind = RunKind::import;
  import.repository = "second";
  // One catalog row per artifact: a second home would take the first one's place there.
  CHECK(fixture.perform_run(import, request).error.value().code == "already_exists");
  fixture.repositories.get("main")->remove(id);
  fixture.catalog.remove_artifact(id);
  const Run imported = fixture.perform_run(import, request);
  require_succeeded(imported);
  CHECK(fixture.repositories.get("second")->find(imported.artifact));
  CHECK(fixture.perform_run(import, request).error.value().code == "already_exists");

  request.target = "shop2";
  fixture.allow_restore("shop2");
  Run restore;
  restore.kind = RunKind::restore;
  require_succeeded(fixture.perform_run(restore, request));
  CHECK(fixture.rows_of(fixture.folder.path() / "shop2.db") == 500);
}

TEST_CASE("verbs: a repository that is not where it was is not made anew", "[job]") {
  ShopFixture fixture;
  fixture.back_up();
  fixture.repositories.forget("main");
  fs::remove_all(fixture.store);
  const Run run = fixture.back_up();
  CHECK(run.state == RunState::failed);
  CHECK(run.error.value().message.starts_with("repository main: "));
  CHECK_FALSE(fs::exists(fixture.store));
}

TEST_CASE_METHOD(ShopFixture, "a backup that reads nothing for too long is stopped and repeated",
                 "[job]") {
  Request request;
  request.policy.retries = 1;
  request.policy.stall_timeout = std::chrono::minutes(30);
  const Run run = runner.submit(run_of("nightly"), request);
  bool stalled = false;
  on_line = [&](std::string_view line) {
    if (stalled || !line.starts_with("backing up ")) return;
    stalled = true;
    clock.advance(std::chrono::minutes(30) - util::Milliseconds(1));
    runner.watch();
    clock.advance(util::Milliseconds(1));
    runner.watch();
  };
  pool.run_all();
  const Run waiting = catalog.run(run.id);
  REQUIRE(waiting.state == RunState::queued);
  CHECK(waiting.earlier_attempts.front().error.code == "timed_out");
  CHECK(waiting.earlier_attempts.front().error.message == "nothing was read for 30m");
  CHECK(catalog.artifacts({}).empty());
  clock.advance(std::chrono::hours(1));
  runner.watch();
  pool.run_all();
  CHECK(catalog.run(run.id).state == RunState::succeeded);
  CHECK(catalog.run(run.id).attempt == 2);
  CHECK(catalog.artifacts({}).size() == 1);
}

TEST_CASE_METHOD(ShopFixture, "a daemon that has lost the lease commits nothing", "[job]") {
  catalog.take_lease("lock 1");
  catalog::Catalog other(file, key, clock);
  on_line = [&](std::string_view line) {
    if (!line.starts_with("backing up ")) return;
    clock.advance(std::chrono::hours(1));  // as when the process was stopped for so long
    other.take_lease("lock 2");
    other.mark_interrupted("taken over");
  };
  const Run run = runner.submit(run_of("nightly"), {});
  pool.run_all();
  CHECK(other.run(run.id).state == RunState::interrupted);
  CHECK(repositories.get("main")->list().empty());
}

}  // namespace dbbackup::job
