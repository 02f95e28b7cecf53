// What happens between the backups: retention with the catalog's facts, the anomaly gate, the share
// of scheduled checks, the choice of drills, and a lost control database made again.
#include <catch2/catch.hpp>
#include <map>

#include "crypto/cipher.hpp"
#include "job/anomaly.hpp"
#include "job/check_share.hpp"
#include "job/drill_choice.hpp"
#include "job/maintain.hpp"
#include "job/origin.hpp"
#include "job/rebuild.hpp"
#include "job/retention.hpp"
#include "unit/job/shop_fixture.hpp"
#include "util/json.hpp"

namespace dbbackup::job {
namespace {

namespace fs = std::filesystem;
using catalog::Artifact;
using catalog::RunKind;
using test::JobFixture;
using test::require_succeeded;
using test::ShopFixture;
using Ids = std::vector<std::string>;
namespace json = util::json;

Ids ids_of(const std::vector<Artifact>& artifacts) {
  Ids ids;
  for (const Artifact& artifact : artifacts) ids.push_back(artifact.id);
  return ids;
}

std::vector<catalog::Event> events_of(catalog::Catalog& catalog, const std::string& action) {
  std::vector<catalog::Event> events = catalog.events({}, {});
  std::erase_if(events, [&](const catalog::Event& event) { return event.action != action; });
  return events;
}

struct KeepFixture : ShopFixture {
  void keep_last(std::int64_t number) {
    catalog::Job job = catalog.job("nightly");
    job.keep.last = number;
    catalog.update_job(job);
  }
  Ids artifacts() { return ids_of(catalog.artifacts({})); }
  Ids manifests() {
    Ids found;
    for (const auto& manifest : repositories.get("main")->list()) found.push_back(manifest.id);
    return found;
  }
};

repository::TableProof table(const std::string& name, std::uint64_t rows) {
  return {name, repository::RowHash::from_hex(std::string(32, '1'), rows).value()};
}

}  // namespace

TEST_CASE("retention is applied after each successful backup of a job", "[job][keep]") {
  KeepFixture fixture;
  fixture.keep_last(2);
  const std::string first = fixture.back_up().artifact;
  const std::string second = fixture.back_up().artifact;
  CHECK(fixture.artifacts() == Ids{second, first});
  const Run third = fixture.back_up();
  require_succeeded(third);
  CHECK(fixture.artifacts() == Ids{third.artifact, second});
  CHECK(fixture.manifests() == Ids{second, third.artifact});
  const auto events = events_of(fixture.catalog, "artifact.expire");
  REQUIRE(events.size() == 1);
  CHECK(events[0].object == "artifact " + first);
  CHECK(events[0].detail.ends_with("no rule keeps it"));
  // Somebody else's: a backup without a job is never removed by a rule.
  Run by_hand = JobFixture::run_of("");
  by_hand = fixture.perform_run(by_hand);
  fixture.back_up();
  fixture.back_up();
  CHECK(fixture.catalog.find_artifact(by_hand.artifact));
}

TEST_CASE("artifacts of a job that wants only a part count for its rules", "[job][keep]") {
  KeepFixture fixture;
  fixture.keep_last(3);
  Request part;
  part.scope.exclude = {"empty"};
  const auto back_up_part = [&] {
    const Run run = fixture.perform_run(JobFixture::run_of("nightly"), part);
    require_succeeded(run);
    return run.artifact;
  };
  Ids made;
  for (int i = 0; i < 4; ++i) made.push_back(back_up_part());
  CHECK(fixture.artifacts() == Ids{made[3], made[2], made[1]});
  // And its anomalies are seen.
  sqlite::Connection(fixture.source.string(), sqlite::OpenMode::read_write)
      .execute("DELETE FROM orders");
  const std::string odd = back_up_part();
  CHECK(fixture.catalog.artifact(odd).suspicious());
}

TEST_CASE("nothing is removed while a failed run waits to be tried again", "[job][keep]") {
  KeepFixture fixture;
  for (int i = 0; i < 3; ++i) fixture.back_up();
  fixture.keep_last(1);
  Run retry = fixture.make_run("nightly", RunState::queued);
  retry.attempt = 2;
  retry.earlier_attempts = {catalog::Attempt{}};
  fixture.catalog.add_run(retry);
  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts().size() == 3);
  // Cancelled while it waits, it still is the attempt that failed last.
  retry.state = RunState::cancelled;
  retry.finished_at = fixture.clock.now() + std::chrono::hours(1);
  fixture.catalog.update_run(retry);
  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts().size() == 3);
}

TEST_CASE("nothing is removed after a failed run until one succeeds", "[job][keep]") {
  KeepFixture fixture;
  for (int i = 0; i < 3; ++i) fixture.back_up();
  fixture.keep_last(1);
  const fs::path away = fixture.folder.path() / "away.db";
  fs::rename(fixture.source, away);
  REQUIRE(fixture.back_up().state == RunState::failed);
  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts().size() == 3);
  const auto plan = plan_retention(fixture.services, "nightly");
  CHECK(plan.verdict.frozen.find("ended as failed") != std::string::npos);
  fs::rename(away, fixture.source);
  const Run good = fixture.back_up();
  CHECK(fixture.artifacts() == Ids{good.artifact});
}

TEST_CASE("holds, proofs and runs in progress protect; prune says and does the same",
          "[job][keep]") {
  KeepFixture fixture;
  Ids made;
  for (int i = 0; i < 6; ++i) made.push_back(fixture.back_up().artifact);
  fixture.catalog.add_hold(made[0], "audit", {});
  fixture.catalog.add_hold(made[1], "for a day", fixture.clock.now() + std::chrono::hours(24));
  require_succeeded(fixture.on_artifact(RunKind::drill, made[2]));
  Run restore = fixture.make_run("", RunState::running);
  restore.kind = RunKind::restore;
  restore.artifact = made[3];
  restore.started_at = fixture.clock.now();
  fixture.catalog.add_run(restore);
  fixture.keep_last(1);

  util::QuietTask quiet;
  const json::Object report = plan_prune(fixture.services, "main", quiet.task());
  std::map<std::string, std::string> actions;
  std::map<std::string, std::string> reasons;
  for (const json::Value& value : report.at("artifacts").as_array()) {
    const json::Object& artifact = value.as_object();
    const std::string id = json::get_string(artifact, "id").value();
    actions[id] = json::get_string(artifact, "action").value();
    reasons[id] = json::get_strings(artifact, "reasons").front();
  }
  CHECK(actions[made[4]] == "remove");
  CHECK(reasons[made[0]] == "held: audit");
  CHECK(reasons[made[1]].starts_with("held: for a day (until 2026-11-21T"));
  CHECK(reasons[made[2]] == "no newer artifact that stays is proved");
  CHECK(reasons[made[3]] == "run " + restore.id + " is using it");
  CHECK(fixture.artifacts().size() == 6);

  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts() == Ids{made[5], made[3], made[2], made[1], made[0]});
  restore.state = RunState::succeeded;
  restore.finished_at = fixture.clock.now();
  fixture.catalog.update_run(restore);
  fixture.clock.advance(std::chrono::hours(25));  // one hold is over
  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts() == Ids{made[5], made[2], made[0]});
  for (const std::string& id : fixture.artifacts()) {
    require_succeeded(fixture.on_artifact(RunKind::verify, id));
  }
}

TEST_CASE("a removal that fails half way is put right", "[job][keep]") {
  KeepFixture fixture;
  const std::string doomed = fixture.back_up().artifact;
  fixture.back_up();
  fixture.keep_last(1);
  SECTION("the manifest is gone already") {
    fixture.repositories.get("main")->remove(doomed);
    require_succeeded(fixture.on_repository(RunKind::prune));
    CHECK_FALSE(fixture.catalog.find_artifact(doomed));
  }
  SECTION("it was held since the plan was made") {
    const JobRetention plan = plan_retention(fixture.services, "nightly");
    REQUIRE(plan.verdict.remove == Ids{doomed});
    fixture.catalog.add_hold(doomed, "just in time", {});
    util::QuietTask quiet;
    CHECK(apply_retention(fixture.services, plan, "main", quiet.task()) == 0);
    CHECK(fixture.catalog.find_artifact(doomed));
    CHECK(fixture.repositories.get("main")->find(doomed));
  }
  SECTION("the daemon died between the catalog and the manifest") {
    fixture.catalog.remove_artifact(doomed);
    reconcile(fixture.services, "main");
    require_succeeded(fixture.on_repository(RunKind::prune));
    CHECK_FALSE(fixture.repositories.get("main")->find(doomed));
  }
}

TEST_CASE("the calendar is the job's: its own zone, its schedule's, the daemon's", "[job][keep]") {
  JobFixture fixture;
  fixture.add_job("nightly");
  catalog::Job job = fixture.catalog.job("nightly");
  job.keep.daily = 2;
  fixture.catalog.update_job(job);
  // Two days in UTC and in Los Angeles; one day in Auckland and in Berlin.
  fixture.add_artifact("nightly", "2026-11-18T23:00:00Z");
  fixture.add_artifact("nightly", "2026-11-19T10:00:00Z");
  const auto kept = [&] { return plan_retention(fixture.services, "nightly").verdict.keep.size(); };
  CHECK(kept() == 2);
  fixture.services.default_timezone = [] { return std::string("Pacific/Auckland"); };
  CHECK(kept() == 1);
  fixture.services.default_timezone = [] { return std::string("UTC"); };
  fixture.add_schedule("at-two", catalog::ScheduleKind::job, "nightly");  // in Berlin
  CHECK(kept() == 1);
  job.timezone = "America/Los_Angeles";
  fixture.catalog.update_job(job);
  CHECK(kept() == 2);
}

TEST_CASE("anomalies: what is odd beside the artifact before", "[job][keep]") {
  using Proof = std::vector<repository::TableProof>;
  const Proof before{table("orders", 100), table("customers", 10), table("empty", 0)};
  struct Case {
    const char* name;
    Proof after;
    std::vector<std::string> found;
  };
  const std::vector<Case> cases{
      {"the same", before, {}},
      {"half may go", {table("orders", 50), table("customers", 10), table("empty", 0)}, {}},
      {"one more may not",
       {table("orders", 49), table("customers", 10), table("empty", 0)},
       {"table orders fell from 100 to 49 rows, by more than 50 %"}},
      {"more is fine", {table("orders", 9000), table("customers", 10), table("empty", 1)}, {}},
      {"a table is gone, even an empty one",
       {table("orders", 100), table("customers", 10)},
       {"table empty has vanished; it had 0 rows"}},
      {"a new one is fine",
       {table("orders", 100), table("customers", 10), table("empty", 0), table("new", 1)},
       {}},
      {"nothing is left",
       {table("orders", 0)},
       {"the database is empty; it had 110 rows",
        "table orders fell from 100 to 0 rows, by more than 50 %",
        "table customers has vanished; it had 10 rows", "table empty has vanished; it had 0 rows"}},
  };
  catalog::Job job;
  for (const Case& one : cases) {
    CAPTURE(one.name);
    CHECK(suspicions(job, &before, one.after) == one.found);
  }
  CHECK(suspicions(job, nullptr, before).empty());
  CHECK(suspicions(job, nullptr, {table("empty", 0)}) == Ids{"the database is empty"});
  const Proof was_empty{table("empty", 0)};
  CHECK(suspicions(job, &was_empty, was_empty).empty());
  job.max_row_drop = 100;
  CHECK(suspicions(job, &before, {table("orders", 0), table("customers", 1), table("empty", 0)})
            .empty());
  job.max_row_drop = 0;
  CHECK(suspicions(job, &before, {table("orders", 99), table("customers", 10), table("empty", 0)})
            .size() == 1);
  job.exclude = {"cust*"};
  CHECK(suspicions(job, &before, {table("orders", 100), table("empty", 0)}).empty());
  job.exclude = {};
  job.include = {"orders"};
  CHECK(suspicions(job, &before, {table("orders", 100)}).empty());
}

TEST_CASE("a suspicious artifact freezes its job until it is accepted", "[job][keep]") {
  KeepFixture fixture;
  fixture.keep_last(1);
  const std::string good = fixture.back_up().artifact;
  fixture.change_shop("DELETE FROM orders WHERE id > 10");
  const Run odd = fixture.back_up();
  require_succeeded(odd);
  const Artifact marked = fixture.catalog.artifact(odd.artifact);
  CHECK(marked.suspicious());
  CHECK(marked.suspicions == Ids{"table orders fell from 500 to 10 rows, by more than 50 %"});
  REQUIRE(odd.warnings.size() == 1);
  const auto events = events_of(fixture.catalog, "artifact.suspicious");
  REQUIRE(events.size() == 1);
  CHECK(events[0].outcome == "warning");

  // The next one is compared with the last good one, not with the odd one.
  const std::string again = fixture.back_up().artifact;
  CHECK(fixture.catalog.artifact(again).suspicious());
  require_succeeded(fixture.on_repository(RunKind::prune));
  CHECK(fixture.artifacts() == Ids{again, odd.artifact, good});

  // It is sealed: a rescan on another machine knows it too.
  CHECK(fixture.repositories.get("main")->find(again)->summary.suspicions == marked.suspicions);

  fixture.catalog.accept_artifact(again);
  const std::string next = fixture.back_up().artifact;
  CHECK_FALSE(fixture.catalog.artifact(next).suspicious());
  CHECK(fixture.artifacts() == Ids{next});
}

TEST_CASE("scheduled checks read everything within their period", "[job][keep]") {
  JobFixture fixture;
  fixture.services.maintenance.reread_within = std::chrono::days(10);
  constexpr std::uint64_t kWhole = repository::ReadShare::kWhole;
  const auto check = [&] {
    const auto share = next_share(fixture.services, "r", fixture.clock.now());
    note_share_read(fixture.services, "r", share, fixture.clock.now());
    return share;
  };
  const repository::ReadShare first = check();
  CHECK(first.begin == 0);
  CHECK(percent_of(first) == 10.0);
  std::uint64_t covered = 0;
  std::uint64_t next = first.length;
  for (const int hours : {24, 1, 50, 12, 100, 53}) {  // ten days
    fixture.clock.advance(std::chrono::hours(hours));
    const repository::ReadShare share = check();
    CHECK(share.begin == next % kWhole);
    next = share.begin + share.length;
    covered += share.length;
  }
  CHECK(covered >= kWhole);
  fixture.clock.advance(std::chrono::hours(24 * 100));
  CHECK(check().length == kWhole);
  fixture.clock.advance(-std::chrono::hours(24 * 100));  // set back: goes on, as on the first day
  CHECK(percent_of(check()) == 10.0);
  // The other repository has a position of its own.
  CHECK(next_share(fixture.services, "s", fixture.clock.now()).begin == 0);
}

TEST_CASE("a share of the ring is an arc that may go over its end", "[job][keep]") {
  const repository::ReadShare over{repository::ReadShare::kWhole - 10, 20};
  CHECK(over.contains(0xFFFFFFF6U));
  CHECK(over.contains(9));
  CHECK_FALSE(over.contains(10));
  CHECK_FALSE(over.contains(0xFFFFFFF5U));
  const repository::ReadShare all{5, repository::ReadShare::kWhole};
  for (const std::uint32_t place : {0U, 4U, 5U, 0xFFFFFFFFU}) CHECK(all.contains(place));
  CHECK_FALSE(repository::ReadShare{}.contains(0));
}

TEST_CASE("a check that a schedule starts reads the share that is due", "[job][keep]") {
  KeepFixture fixture;
  fixture.back_up();
  fixture.add_schedule("checks", catalog::ScheduleKind::check, "main");
  fixture.services.maintenance.reread_within = std::chrono::days(1);
  Run run;
  run.kind = RunKind::check;
  run.repository = "main";
  run.schedule = "checks";
  run = fixture.perform_run(run);
  require_succeeded(run);
  const json::Value result = json::parse(run.result);
  CHECK(json::get_number(result.as_object(), "read_percent") == 100.0);
  CHECK(json::get_int(result.as_object(), "read_bytes").value() > 0);
}

TEST_CASE("drills: newest unproved first, then the oldest proof", "[job][keep]") {
  JobFixture fixture;
  fixture.add_job("nightly");
  CHECK_FALSE(choose_drill(fixture.catalog, "nightly"));
  Ids ids;
  for (const char* day : {"2026-11-01", "2026-11-02", "2026-11-03"}) {
    ids.push_back(fixture.add_artifact("nightly", day).id);
  }
  Ids order;
  for (int i = 0; i < 5; ++i) {
    const auto chosen = choose_drill(fixture.catalog, "nightly");
    REQUIRE(chosen);
    order.push_back(chosen->id);
    fixture.clock.advance(std::chrono::hours(1));
    fixture.catalog.set_artifact_state(chosen->id, catalog::ArtifactState::proved, "r");
  }
  CHECK(order == Ids{ids[2], ids[1], ids[0], ids[2], ids[1]});
  const std::string fresh = fixture.add_artifact("nightly", "2026-11-04").id;
  CHECK(choose_drill(fixture.catalog, "nightly")->id == fresh);
  fixture.catalog.set_artifact_state(fresh, catalog::ArtifactState::damaged);
  CHECK(choose_drill(fixture.catalog, "nightly")->id != fresh);
}

TEST_CASE("drills: each database of a job gets its turn", "[job][keep]") {
  JobFixture fixture;
  fixture.add_job("nightly");
  const auto add = [&](const std::string& database, const std::string& day) {
    Artifact artifact = fixture.make_artifact("nightly", day);
    artifact.database = database;
    fixture.catalog.put_artifact(artifact);
  };
  std::vector<std::string> order;
  for (int day = 1; day <= 6; ++day) {
    const std::string date = "2026-11-0" + std::to_string(day);
    for (const char* database : {"a", "b", "c"}) add(database, date);
    const auto chosen = choose_drill(fixture.catalog, "nightly");
    order.push_back(chosen->database);
    CHECK(chosen->created_at == test::time_of(date));
    fixture.clock.advance(std::chrono::hours(24));
    fixture.catalog.set_artifact_state(chosen->id, catalog::ArtifactState::proved, "r");
  }
  CHECK(order == std::vector<std::string>{"a", "b", "c", "a", "b", "c"});
}

TEST_CASE("an origin says how a job was set up", "[job][keep]") {
  catalog::Database database;
  database.url = "sqlite:///srv/shop.db";
  database.options = {{"block", "1MiB"}};
  catalog::Job job;
  job.include = {"a*"};
  job.where = {{"orders", "id > 5"}};
  job.keep.daily = 7;
  job.keep.within = std::chrono::hours(36);
  job.timezone = "Europe/Berlin";
  job.max_row_drop = 20;
  job.timeout = std::chrono::minutes(90);
  job.pre_hook = "sync";
  const json::Object origin = json::parse(json::write(origin_of(database, job))).as_object();
  const auto database_read = database_from(origin).value();
  CHECK(database_read.url == database.url);
  CHECK(database_read.options == database.options);
  const auto read = job_from(origin).value();
  CHECK(read.include == job.include);
  CHECK(read.where == job.where);
  CHECK(read.keep.daily == 7);
  CHECK(read.keep.within == job.keep.within);
  CHECK(read.timezone == job.timezone);
  CHECK(read.max_row_drop == 20);
  CHECK(read.timeout == job.timeout);
  CHECK(read.pre_hook == "sync");
  CHECK_FALSE(job_from({}));
  CHECK_FALSE(database_from({}));
  CHECK_FALSE(job_from(origin_of(database, {})));
}

namespace {

// A machine with nothing but the folder of another one's repository and its recovery key.
struct EmptyMachine : JobFixture {
  explicit EmptyMachine(const fs::path& store, const std::string& recovery_key) {
    catalog::Repository record;
    record.name = "rescued";
    record.url = "file://" + store.string();
    record.created = clock.now();
    CHECK_FALSE(
        repositories.add(record, {}, {}, true, crypto::parse_printable_key(recovery_key).value()));
  }
  Run rescan() {
    Run run;
    run.kind = RunKind::rescan;
    run.repository = "rescued";
    run = runner.submit(run, {});
    pool.run_all();
    return catalog.run(run.id);
  }
  Runner runner{services, pool.post(), 4};
};

}  // namespace

TEST_CASE("an empty machine learns of jobs and history from the repository", "[job][keep]") {
  KeepFixture fixture;
  const bool with_control = GENERATE(true, false);
  CAPTURE(with_control);
  if (with_control) fixture.services.maintenance.control_backup_every = std::chrono::days(1);
  fixture.keep_last(5);
  fixture.add_schedule("at-two", catalog::ScheduleKind::job, "nightly");
  const std::string held = fixture.back_up().artifact;
  fixture.catalog.add_hold(held, "audit", {});
  require_succeeded(fixture.on_artifact(RunKind::drill, held));
  fixture.clock.advance(std::chrono::hours(25));
  const Run last = fixture.back_up();
  CHECK(fixture.artifacts().size() == 2);
  CHECK(fixture.catalog.artifacts({.control = true}).size() == (with_control ? 4 : 2));
  const std::string key = fixture.repositories.get("main")->new_recovery_key();

  EmptyMachine machine(fixture.store, key);
  const Run rescan = machine.rescan();
  require_succeeded(rescan);
  CHECK(ids_of(machine.catalog.artifacts({})) == fixture.artifacts());
  CHECK(machine.catalog.database("shop").url == fixture.catalog.database("shop").url);
  const catalog::Job job = machine.catalog.job("nightly");
  CHECK(job.repository == "rescued");
  CHECK(job.keep.last == 5);
  if (with_control) {
    CHECK(machine.catalog.schedule("at-two").paused);
    CHECK(machine.catalog.holds(held).front().reason == "audit");
    CHECK(machine.catalog.artifact(held).state == catalog::ArtifactState::proved);
    CHECK(machine.catalog.runs({.job = "nightly"}).size() >= 1);
    CHECK(machine.catalog.runs({.job = "nightly"}).back().repository == "rescued");
    CHECK(machine.logged("made again"));
  } else {
    CHECK(machine.catalog.schedules().empty());
  }
  CHECK_FALSE(machine.catalog.find_run(last.id));  // it was running when the copy was made

  // Once: what was removed afterwards on purpose does not come back.
  for (const auto& schedule : machine.catalog.schedules()) {
    machine.catalog.remove_schedule(schedule.name);
  }
  machine.catalog.remove_job("nightly");
  require_succeeded(machine.rescan());
  CHECK_FALSE(machine.catalog.find_job("nightly"));
}

TEST_CASE("the control database is backed up once in a while, and the newest are kept",
          "[job][keep]") {
  KeepFixture fixture;
  fixture.services.maintenance.control_backup_every = std::chrono::hours(6);
  const catalog::ArtifactFilter control{.database = std::string(catalog::kControlName)};
  fixture.back_up();
  fixture.back_up();
  CHECK(fixture.catalog.artifacts(control).size() == 1);
  for (int i = 0; i < 8; ++i) {
    fixture.clock.advance(std::chrono::hours(6));
    fixture.back_up();
  }
  const auto kept = fixture.catalog.artifacts(control);
  CHECK(kept.size() == 5);
  require_succeeded(fixture.on_artifact(RunKind::drill, kept.front().id));
  fixture.clock.advance(-std::chrono::hours(1000));  // the clock was set back
  fixture.back_up();
  CHECK(fixture.catalog.artifacts(control).size() == 5);
  CHECK(fs::is_empty(fixture.services.scratch_folder));
}

}  // namespace dbbackup::job
