// Runs, their logs, and what an end of the daemon leaves behind.
#include <utility>

#include "sqlite/sqlite.hpp"
#include "unit/catalog/catalog_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::catalog;
using namespace dbbackup::test;
using Catch::Contains;
using util::ErrorCode;

namespace {
std::vector<std::string> ids_of(const std::vector<Run>& runs) {
  std::vector<std::string> ids;
  for (const Run& run : runs) ids.push_back(run.id);
  return ids;
}
using Ids = std::vector<std::string>;
}  // namespace

TEST_CASE_METHOD(CatalogFixture, "a run comes back as it was added and updated", "[catalog]") {
  Run run = add_run("nightly", RunState::queued);
  run.kind = RunKind::export_;
  run.schedule = "at-two";
  run.type = "full";
  run.state = RunState::partial;
  run.attempt = 2;
  run.started_at = time_of("2026-11-20T12:00:01.001Z");
  run.finished_at = time_of("2026-11-20T12:00:02.002Z");
  run.streams_done = 3;
  run.streams_total = 4;
  run.rows = 5;
  run.bytes = 1ULL << 50U;
  run.bytes_total = 7;
  run.artifact = "01abc";
  run.error = RunError{"partial", "one table was skipped", "grant SELECT on it"};
  run.warnings = {"first", "second"};
  run.request = R"({"a":1})";
  run.result = R"({"b":2})";
  catalog.update_run(run);

  const Run found = catalog.run(run.id);
  CHECK(found.id == run.id);
  CHECK(found.kind == run.kind);
  CHECK(found.job == "nightly");
  CHECK(found.database == "shop");
  CHECK(found.repository == "main");
  CHECK(found.schedule == "at-two");
  CHECK(found.type == "full");
  CHECK(found.state == RunState::partial);
  CHECK(found.attempt == 2);
  CHECK(found.queued_at == run.queued_at);
  CHECK(found.started_at == run.started_at);
  CHECK(found.finished_at == run.finished_at);
  CHECK(found.streams_done == 3);
  CHECK(found.streams_total == 4);
  CHECK(found.rows == 5);
  CHECK(found.bytes == 1ULL << 50U);
  CHECK(found.bytes_total == 7);
  CHECK(found.artifact == "01abc");
  REQUIRE(found.error);
  CHECK(found.error->code == "partial");
  CHECK(found.error->message == "one table was skipped");
  CHECK(found.error->hint == "grant SELECT on it");
  CHECK(found.warnings == run.warnings);
  CHECK(found.request == run.request);
  CHECK(found.result == run.result);
}

TEST_CASE_METHOD(CatalogFixture, "a run goes from queued to running to an end and no further",
                 "[catalog]") {
  Run run = add_run("", RunState::queued);
  CHECK(error_of([&] { catalog.add_run(run); }).code() == ErrorCode::already_exists);
  run.state = RunState::running;
  catalog.update_run(run);
  run.state = RunState::succeeded;
  catalog.update_run(run);
  run.state = RunState::failed;
  const util::Error error = error_of([&] { catalog.update_run(run); });
  CHECK(error.code() == ErrorCode::conflict);
  CHECK_THAT(error.message(), Contains("has already ended as succeeded"));
  CHECK(catalog.run(run.id).state == RunState::succeeded);

  run.id = ids.next();
  CHECK(error_of([&] { catalog.update_run(run); }).code() == ErrorCode::not_found);
  CHECK_FALSE(catalog.find_run(run.id));
}

TEST_CASE_METHOD(CatalogFixture, "every kind and state of a run has a name that leads back",
                 "[catalog]") {
  for (int i = 0; i <= static_cast<int>(RunKind::import); ++i) {
    const auto kind = static_cast<RunKind>(i);
    CHECK(run_kind_from_name(run_kind_name(kind)) == kind);
  }
  for (int i = 0; i <= static_cast<int>(RunState::skipped); ++i) {
    const auto state = static_cast<RunState>(i);
    CHECK(run_state_from_name(run_state_name(state)) == state);
    CHECK(is_ended(state) == (state != RunState::queued && state != RunState::running));
  }
  for (int i = 0; i <= static_cast<int>(ScheduleKind::prune); ++i) {
    const auto kind = static_cast<ScheduleKind>(i);
    CHECK(schedule_kind_from_name(schedule_kind_name(kind)) == kind);
  }
  for (int i = 0; i <= static_cast<int>(ArtifactState::damaged); ++i) {
    const auto state = static_cast<ArtifactState>(i);
    CHECK(artifact_state_from_name(artifact_state_name(state)) == state);
  }
  CHECK_FALSE(run_kind_from_name("nope"));
  CHECK_FALSE(run_state_from_name(""));
  CHECK_FALSE(schedule_kind_from_name("nope"));
  CHECK_FALSE(artifact_state_from_name("nope"));
}

TEST_CASE_METHOD(CatalogFixture, "a run is found by its id or the beginning of it", "[catalog]") {
  Run first;
  first.id = "01aaaaaaaaaaaaaaaaaaaaaaaa";
  Run second;
  second.id = "01aaaaabbbbbbbbbbbbbbbbbbb";
  Run third;
  third.id = "01zzzzzzzzzzzzzzzzzzzzzzzz";
  for (const Run& run : {first, second, third}) catalog.add_run(run);

  CHECK(catalog.run(first.id).id == first.id);
  CHECK(catalog.run("01zzzz").id == third.id);
  CHECK(catalog.run("01ZZZZZ").id == third.id);
  CHECK(catalog.run("01aaaaab").id == second.id);

  const util::Error several = error_of([&] { catalog.run("01aaaa"); });
  CHECK(several.code() == ErrorCode::usage);
  CHECK_THAT(several.message(), Contains(first.id) && Contains(second.id));
  CHECK(error_of([&] { catalog.run("01zzz"); }).code() == ErrorCode::usage);
  CHECK(error_of([&] { catalog.run(""); }).code() == ErrorCode::usage);
  for (const char* missing :
       {"01bbbbbb", "not an id", "01zzzz' OR 1", "01zzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    const util::Error error = error_of([&] { catalog.run(missing); });
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.hint(), Contains("run list"));
  }
}

TEST_CASE_METHOD(CatalogFixture,
                 "how long runs took is told per job, and per schedule for the rest", "[catalog]") {
  add_job("nightly");
  const auto add = [&](RunKind kind, const std::string& job, const std::string& schedule,
                       RunState state, std::int64_t seconds) {
    Run run = make_run(job, state);
    run.kind = kind;
    run.schedule = schedule;
    run.started_at = run.queued_at;
    run.finished_at = run.queued_at + util::Seconds(seconds);
    catalog.add_run(run);
  };
  add(RunKind::backup, "nightly", "s", RunState::succeeded, 10);
  add(RunKind::backup, "nightly", "", RunState::partial, 20);
  add(RunKind::backup, "nightly", "s", RunState::failed, 30);
  add(RunKind::backup, "other", "s", RunState::succeeded, 40);
  add(RunKind::drill, "", "drills", RunState::succeeded, 50);
  add(RunKind::backup, "nightly", "s", RunState::succeeded,
      -60);  // the clock was set back meanwhile
  Run like;
  like.job = "nightly";
  like.schedule = "s";
  using Durations = std::vector<util::Milliseconds>;
  CHECK(catalog.durations_like(like, 10) ==
        Durations{util::Seconds(0), util::Seconds(20), util::Seconds(10)});
  CHECK(catalog.durations_like(like, 2) == Durations{util::Seconds(0), util::Seconds(20)});
  like.kind = RunKind::drill;
  like.job.clear();
  like.schedule = "drills";
  CHECK(catalog.durations_like(like, 10) == Durations{util::Seconds(50)});
}

TEST_CASE_METHOD(CatalogFixture, "every change of the schedules has another version", "[catalog]") {
  add_job("nightly");
  std::uint64_t version = catalog.schedules_version();
  const auto changed = [&] {
    const std::uint64_t before = std::exchange(version, catalog.schedules_version());
    return version != before;
  };
  Schedule schedule = add_schedule("s", ScheduleKind::job, "nightly");
  CHECK(changed());
  schedule.paused = true;
  catalog.update_schedule(schedule);
  CHECK(changed());
  catalog.set_handled("s", clock.now());
  CHECK(changed());
  Run run = make_run("nightly", RunState::queued);
  catalog.add_scheduled_run(run, "s", clock.now() + util::Seconds(1));
  catalog.add_event({});
  CHECK_FALSE(changed());
  catalog.remove_schedule("s");
  CHECK(changed());
  catalog.remove_job("nightly");  // schedules go with it
  CHECK(changed());
}

TEST_CASE_METHOD(CatalogFixture, "runs are listed newest first, filtered and limited",
                 "[catalog]") {
  const Run a = add_run("a", RunState::succeeded);
  const Run b = add_run("b", RunState::queued);
  const Run c = add_run("a", RunState::running);
  Run d = make_run("a", RunState::failed);
  d.database = "other";
  catalog.add_run(d);

  CHECK(ids_of(catalog.runs({})) == Ids{d.id, c.id, b.id, a.id});
  CHECK(ids_of(catalog.runs({.limit = 2})) == Ids{d.id, c.id});
  CHECK(catalog.runs({.limit = 0}).empty());
  CHECK(ids_of(catalog.runs({.job = "a"})) == Ids{d.id, c.id, a.id});
  CHECK(ids_of(catalog.runs({.job = "a", .database = "shop"})) == Ids{c.id, a.id});
  CHECK(ids_of(catalog.runs({.state = RunState::failed})) == Ids{d.id});
  CHECK(ids_of(catalog.runs({.unfinished = true})) == Ids{c.id, b.id});
  CHECK(ids_of(catalog.runs({.job = "a", .unfinished = true})) == Ids{c.id});
  CHECK(catalog.runs({.job = "nope"}).empty());
  CHECK(catalog.running_and_queued() == std::pair<std::uint64_t, std::uint64_t>(1, 1));
}

TEST_CASE_METHOD(CatalogFixture, "a scheduled run marks its instant once", "[catalog]") {
  add_job("nightly");
  add_schedule("at-two", ScheduleKind::job, "nightly");
  const auto instant = time_of("2026-11-20T02:00:00Z");
  const Run run = make_run("nightly", RunState::queued);
  catalog.add_scheduled_run(run, "at-two", instant);
  const Schedule schedule = catalog.schedule("at-two");
  CHECK(schedule.handled_until == instant);
  CHECK(schedule.last_run == run.id);
  CHECK(schedule.last_run_at == run.queued_at);
  CHECK(catalog.find_run(run.id));

  const Run again = make_run("nightly", RunState::queued);
  const util::Error error = error_of([&] { catalog.add_scheduled_run(again, "at-two", instant); });
  CHECK(error.code() == ErrorCode::conflict);
  CHECK_FALSE(catalog.find_run(again.id));

  // When the run cannot be added, the instant stays open.
  const auto next = time_of("2026-11-21T02:00:00Z");
  CHECK(error_of([&] { catalog.add_scheduled_run(run, "at-two", next); }).code() ==
        ErrorCode::already_exists);
  CHECK(catalog.schedule("at-two").handled_until == instant);
  CHECK(error_of([&] { catalog.add_scheduled_run(again, "nope", next); }).code() ==
        ErrorCode::not_found);
}

TEST_CASE_METHOD(CatalogFixture, "runs cut short by a crash are marked", "[catalog]") {
  add_job("nightly");
  const Run done = add_run("nightly", RunState::succeeded);
  const Run waiting = add_run("nightly", RunState::queued);
  const Run cut = add_run("nightly", RunState::running);
  clock.advance(util::Seconds(60));

  const std::vector<Run> marked = catalog.mark_interrupted("the daemon stopped while it ran");
  REQUIRE(ids_of(marked) == Ids{cut.id});
  for (const Run& run : {marked.front(), catalog.run(cut.id)}) {
    CHECK(run.state == RunState::interrupted);
    CHECK(run.finished_at == clock.now());
    REQUIRE(run.error);
    CHECK(run.error->message == "the daemon stopped while it ran");
    CHECK(util::error_code_from_name(run.error->code).has_value());
  }
  CHECK(catalog.run(done.id).state == RunState::succeeded);
  CHECK(ids_of(catalog.runs({.unfinished = true})) == Ids{waiting.id});
  CHECK(catalog.job_summaries().front().last_state == RunState::interrupted);
  CHECK(catalog.mark_interrupted("again").empty());
}

TEST_CASE_METHOD(CatalogFixture, "the log of a run is appended and read from any line",
                 "[catalog]") {
  const Run run = add_run("", RunState::running);
  const Run other = add_run("", RunState::running);
  catalog.append_log(other.id, {clock.now(), util::Severity::error, "not this one"});
  for (int i = 0; i < 5; ++i) {
    catalog.append_log(run.id, {clock.now(), util::Severity::warning, "line " + std::to_string(i)});
    clock.advance(util::Milliseconds(1));
  }
  const std::vector<LogLine> all = catalog.log(run.id);
  REQUIRE(all.size() == 5);
  CHECK(all.front().line == "line 0");
  CHECK(all.front().severity == util::Severity::warning);
  CHECK(all.back().at == all.front().at + util::Milliseconds(4));
  const std::vector<LogLine> rest = catalog.log(run.id, 3);
  REQUIRE(rest.size() == 2);
  CHECK(rest.front().line == "line 3");
  CHECK(catalog.log(run.id, 5).empty());
  CHECK(catalog.log("01nosuchrun").empty());
  CHECK(error_of([&] {
          catalog.append_log("01nosuchrun", {clock.now(), util::Severity::info, "x"});
        }).code() == ErrorCode::not_found);
}

TEST_CASE_METHOD(CatalogFixture, "free text comes back whatever is in it", "[catalog]") {
  const std::vector<std::string> odd{"",
                                     " ",
                                     "line\nbreak\r\n\ttab",
                                     "\"quotes\" 'single' \\back",
                                     "\xf0\x9f\xa6\x84 \xe2\x80\xae",
                                     "e\xcc\x81 is not \xc3\xa9",
                                     "\xef\xbb\xbf"
                                     "bom",
                                     "[]",
                                     "%s %n",
                                     "'; DROP TABLE runs; --",
                                     std::string("nul\0inside", 10),
                                     std::string(100000, 'x')};
  const Run queued = add_run("", RunState::queued);
  for (const std::string& text : odd) {
    Run run = catalog.run(queued.id);
    run.warnings = {text, text};
    run.error = RunError{"io", text, text};
    run.request = text;
    run.result = text;
    catalog.update_run(run);
    const Run found = catalog.run(queued.id);
    CHECK(found.warnings == run.warnings);
    CHECK(found.error->message == text);
    CHECK(found.error->hint == text);
    CHECK(found.request == text);
    CHECK(found.result == text);
    catalog.append_log(queued.id, {clock.now(), util::Severity::info, text});
    CHECK(catalog.log(queued.id).back().line == text);
  }
}

TEST_CASE_METHOD(CatalogFixture, "a warning that is not UTF-8 is kept readable", "[catalog]") {
  Run run = make_run("", RunState::queued);
  run.warnings = {"table caf\xe9 skipped"};
  catalog.add_run(run);
  CHECK(catalog.run(run.id).warnings == std::vector<std::string>{"table caf\\xe9 skipped"});
}

TEST_CASE_METHOD(CatalogFixture, "old runs and events are trimmed, the newest of a job stay",
                 "[catalog]") {
  add_job("nightly");
  add_schedule("prune-main", ScheduleKind::prune, "main");
  const Run old_one = add_run("nightly", RunState::succeeded);
  catalog.append_log(old_one.id, {clock.now(), util::Severity::info, "goes too"});
  const Run newest_ended = add_run("nightly", RunState::failed);
  const Run newest = add_run("nightly", RunState::running);
  Run newest_drill = make_run("nightly", RunState::succeeded);
  newest_drill.kind = RunKind::drill;
  catalog.add_run(newest_drill);
  const Run of_removed_job = add_run("removed", RunState::succeeded);
  const Run waiting = add_run("", RunState::queued);
  Run prune = make_run("", RunState::succeeded);
  prune.kind = RunKind::prune;
  catalog.add_scheduled_run(prune, "prune-main", clock.now());
  add_event("old");

  clock.advance(std::chrono::hours(24 * 100));
  const Run fresh = add_run("", RunState::succeeded);
  add_event("fresh");
  catalog.trim_history(
      {.keep_runs = std::chrono::hours(24 * 90), .keep_events = std::chrono::hours(24 * 30)});

  CHECK(ids_of(catalog.runs({})) ==
        Ids{fresh.id, prune.id, waiting.id, newest_drill.id, newest.id, newest_ended.id});
  CHECK_FALSE(catalog.find_run(of_removed_job.id));
  CHECK(catalog.log(old_one.id).empty());
  REQUIRE(catalog.events({}, {}).size() == 1);
  CHECK(catalog.events({}, {}).front().action == "fresh");
}

TEST_CASE_METHOD(CatalogFixture, "the number of runs and events is limited, the oldest go",
                 "[catalog]") {
  add_job("nightly");
  const Run kept = add_run("nightly", RunState::succeeded);
  Ids runs;
  for (int i = 0; i < 1500; ++i) {
    const Run run = add_run("", RunState::succeeded);
    catalog.append_log(run.id, {clock.now(), util::Severity::info, std::string(2000, 'x')});
    runs.push_back(run.id);
    add_event("e" + std::to_string(i));
  }
  const auto size = std::filesystem::file_size(file);
  catalog.trim_history({.most_runs = 101, .most_events = 10});
  const Ids left = ids_of(catalog.runs({}));
  REQUIRE(left.size() == 101);
  CHECK(left.front() == runs.back());
  CHECK(left[99] == runs[1400]);
  CHECK(left.back() == kept.id);
  CHECK(catalog.log(runs[0]).empty());
  CHECK(catalog.log(runs[1499]).size() == 1);
  REQUIRE(catalog.events({}, {}).size() == 10);
  CHECK(catalog.events({}, {}).front().action == "e1490");
  // The space is on its way back: the WAL is copied into the file when the last connection closes.
  dbbackup::sqlite::Connection db(file.string(), dbbackup::sqlite::OpenMode::read_write);
  db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  CHECK(std::filesystem::file_size(file) < size / 2);
}

TEST_CASE_METHOD(CatalogFixture, "logs may go before their runs", "[catalog]") {
  const Run old_one = add_run("", RunState::succeeded);
  catalog.append_log(old_one.id, {clock.now(), util::Severity::info, "old"});
  clock.advance(std::chrono::hours(48));
  const Run fresh = add_run("", RunState::succeeded);
  catalog.append_log(fresh.id, {clock.now(), util::Severity::info, "fresh"});
  catalog.trim_history({.keep_logs = std::chrono::hours(24)});
  CHECK(catalog.log(old_one.id).empty());
  CHECK(catalog.log(fresh.id).size() == 1);
  CHECK(catalog.runs({}).size() == 2);
}

TEST_CASE_METHOD(CatalogFixture, "the newest attempt of a job is what ended by itself",
                 "[catalog]") {
  add_job("nightly");
  CHECK_FALSE(catalog.last_attempt("nightly"));
  const Run failed = add_run("nightly", RunState::failed);
  add_run("nightly", RunState::cancelled);
  add_run("nightly", RunState::skipped);
  add_run("nightly", RunState::running);
  CHECK(catalog.last_attempt("nightly").value().id == failed.id);
  CHECK_FALSE(catalog.last_attempt("other"));
}

TEST_CASE_METHOD(CatalogFixture, "accepting an artifact accepts the earlier ones of its job",
                 "[catalog]") {
  add_job("nightly");
  std::vector<catalog::Artifact> artifacts;
  for (const char* day : {"2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"}) {
    catalog::Artifact artifact = make_artifact("nightly", day);
    if (std::string(day) != "2026-11-01") artifact.suspicions = {"table orders has vanished"};
    catalog.put_artifact(artifact);
    artifacts.push_back(artifact);
  }
  CHECK(catalog.accept_artifact(artifacts[2].id) == Ids{artifacts[1].id, artifacts[2].id});
  CHECK(catalog.accept_artifact(artifacts[2].id).empty());
  CHECK_FALSE(catalog.artifact(artifacts[2].id).suspicious());
  CHECK(catalog.artifact(artifacts[3].id).suspicious());
  // A rescan brings what the manifest says and forgets nothing.
  catalog.put_artifact(artifacts[1]);
  CHECK_FALSE(catalog.artifact(artifacts[1].id).suspicious());
}

TEST_CASE_METHOD(CatalogFixture, "backups of the control database stay out of the way",
                 "[catalog]") {
  add_job("nightly");
  const auto mine = add_artifact("nightly", "2026-11-01");
  catalog::Artifact control = make_artifact(std::string(kControlName), "2026-11-02");
  control.database = kControlName;
  catalog.put_artifact(control);
  CHECK(catalog.artifacts({}).size() == 1);
  CHECK(catalog.artifacts({.control = true}).size() == 2);
  CHECK(catalog.artifacts({.database = std::string(kControlName)}).size() == 1);
  CHECK(catalog.artifact("latest").id == mine.id);
  CHECK(catalog.artifact("latest:dbbackup-control").id == control.id);
  CHECK(catalog.repository_usage().front().artifacts == 1);
  CHECK(test::error_of([&] { add_database("dbbackup-control"); }).code() == util::ErrorCode::usage);
  catalog.remove_artifact(control.id);
  CHECK(catalog.repository_usage().front().artifacts == 1);
}
