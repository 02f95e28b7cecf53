// What status and monitoring ask, and how long it takes; the audit trail.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "unit/catalog/catalog_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::catalog;
using namespace dbbackup::test;

namespace {
JobSummary summary_of(Catalog& catalog, const std::string& job) {
  for (const JobSummary& summary : catalog.job_summaries()) {
    if (summary.name == job) return summary;
  }
  FAIL("no such job");
  return {};
}
}  // namespace

TEST_CASE_METHOD(CatalogFixture, "a job's summary follows its runs", "[catalog]") {
  Job job = add_job("nightly");
  job.max_age = util::Milliseconds(5000);
  catalog.update_job(job);
  JobSummary summary = summary_of(catalog, "nightly");
  CHECK_FALSE(summary.last_state);
  CHECK(summary.last_run.empty());
  CHECK_FALSE(summary.last_finished_at);
  CHECK_FALSE(summary.last_success_at);
  CHECK(summary.max_age == util::Milliseconds(5000));

  Run run = add_run("nightly", RunState::queued);
  CHECK(summary_of(catalog, "nightly").last_state == RunState::queued);
  run.state = RunState::succeeded;
  run.finished_at = clock.now();
  catalog.update_run(run);

  clock.advance(util::Seconds(60));
  const Run next = add_run("nightly", RunState::running);
  Run drill = make_run("nightly", RunState::failed);
  drill.kind = RunKind::drill;
  catalog.add_run(drill);
  summary = summary_of(catalog, "nightly");
  CHECK(summary.last_run == next.id);
  CHECK(summary.last_state == RunState::running);
  CHECK(summary.last_finished_at == run.finished_at);

  catalog.update_job(job);
  CHECK(summary_of(catalog, "nightly").last_run == next.id);
}

TEST_CASE_METHOD(CatalogFixture, "a job's last success is its newest sound artifact", "[catalog]") {
  add_job("nightly");
  add_artifact("nightly", "2026-11-18");
  Artifact newest = add_artifact("nightly", "2026-11-19");
  add_artifact("", "2026-11-20");
  const auto success = [&] { return summary_of(catalog, "nightly").last_success_at; };
  CHECK(success() == time_of("2026-11-19"));
  catalog.set_artifact_state(newest.id, ArtifactState::damaged);
  CHECK(success() == time_of("2026-11-18"));
  catalog.set_artifact_state(newest.id, ArtifactState::checked);
  CHECK(success() == time_of("2026-11-19"));
  newest.job = "other";
  catalog.put_artifact(newest);
  CHECK(success() == time_of("2026-11-18"));
  newest.job = "nightly";
  catalog.put_artifact(newest);
  catalog.remove_artifact(newest.id);
  CHECK(success() == time_of("2026-11-18"));
}

TEST_CASE_METHOD(CatalogFixture, "a job added again finds its history", "[catalog]") {
  const Job job = add_job("nightly");
  const Run run = add_run("nightly", RunState::succeeded);
  add_artifact("nightly", "2026-11-19");
  catalog.remove_job("nightly");
  CHECK(catalog.job_summaries().empty());
  catalog.add_job(job);
  CHECK(summary_of(catalog, "nightly").last_run == run.id);
  CHECK(summary_of(catalog, "nightly").last_success_at == time_of("2026-11-19"));
}

TEST_CASE_METHOD(CatalogFixture, "repository usage follows its artifacts", "[catalog]") {
  add_repository("empty");
  add_repository("main");
  Artifact artifact = add_artifact("", "2026-11-18", 10);
  add_artifact("", "2026-11-19", 5);
  const auto usage = [&](std::size_t i) {
    const auto all = catalog.repository_usage();
    REQUIRE(all.size() == 2);
    return std::tuple(all[i].name, all[i].artifacts, all[i].stored_bytes);
  };
  CHECK(usage(0) == std::tuple("empty", 0U, 0U));
  CHECK(usage(1) == std::tuple("main", 2U, 15U));
  artifact.repository = "empty";
  artifact.added_bytes = 7;
  catalog.put_artifact(artifact);
  CHECK(usage(0) == std::tuple("empty", 1U, 7U));
  CHECK(usage(1) == std::tuple("main", 1U, 5U));
  catalog.remove_artifact(artifact.id);
  CHECK(usage(0) == std::tuple("empty", 0U, 0U));
}

TEST_CASE_METHOD(CatalogFixture, "events are kept in order, with id and time filled in",
                 "[catalog]") {
  const auto add = [&](const std::string& action) {
    Event event;
    event.uid = 1000;
    event.user = "ann";
    event.pid = 42;
    event.action = action;
    event.object = "job shop";
    event.outcome = "ok";
    event.detail = "\xf0\x9f\xa6\x84\n";
    catalog.add_event(event);
    clock.advance(util::Seconds(1));
  };
  const auto start = clock.now();
  for (const char* action : {"a", "b", "c", "d"}) add(action);
  const auto actions = [](const std::vector<Event>& events) {
    std::string all;
    for (const Event& event : events) all += event.action;
    return all;
  };

  const std::vector<Event> all = catalog.events({}, {});
  REQUIRE(actions(all) == "abcd");
  CHECK(util::is_ulid(all[0].id));
  CHECK(all[0].at == start);
  CHECK(all[0].uid == 1000);
  CHECK(all[0].user == "ann");
  CHECK(all[0].pid == 42);
  CHECK(all[0].object == "job shop");
  CHECK(all[0].outcome == "ok");
  CHECK(all[0].detail == "\xf0\x9f\xa6\x84\n");
  CHECK(actions(catalog.events(start + util::Seconds(1), {})) == "bcd");
  CHECK(actions(catalog.events({}, 2)) == "cd");
  CHECK(actions(catalog.events({}, 2, all[0].id)) == "bc");
  CHECK(actions(catalog.events({}, {}, all[3].id)).empty());

  Event exact;
  exact.id = "0000000000000000000000000a";
  exact.at = time_of("2001-01-01");
  exact.action = "z";
  catalog.add_event(exact);
  CHECK(catalog.events({}, {}).front().id == exact.id);
  CHECK(catalog.events({}, {}).front().at == exact.at);
}

namespace {
// Median of 21 measurements, in microseconds.
double median_us(const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}
}  // namespace

TEST_CASE_METHOD(CatalogFixture, "status is fast with a long history", "[.bench]") {
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "job-" + std::to_string(i);
    add_job(name);
    add_schedule(name, ScheduleKind::job, name);
    for (int k = 0; k < 10; ++k) {
      add_run(name, RunState::succeeded);
      add_artifact(name, "2026-11-20", 1000);
      clock.advance(util::Seconds(1));
    }
  }
  const Run run = add_run("job-500", RunState::running);
  const LogLine line{clock.now(), util::Severity::info, "stream data/main.orders done"};
  const auto show = [](const char* what, double us) {
    std::printf("%-46s %9.1f us\n", what, us);
    return us;
  };

  double status = 0;
  status += show("job_summaries (1,000 jobs)", median_us([&] { catalog.job_summaries(); }));
  status +=
      show("running_and_queued (10,000 runs)", median_us([&] { catalog.running_and_queued(); }));
  status +=
      show("repository_usage (10,000 artifacts)", median_us([&] { catalog.repository_usage(); }));
  show("together", status);
  show("schedules (1,000)", median_us([&] { catalog.schedules(); }));
  show("runs, newest 50", median_us([&] { catalog.runs({.limit = 50}); }));
  show("runs of a job, newest 5", median_us([&] { catalog.runs({.limit = 5, .job = "job-3"}); }));
  show("runs that failed, newest 50",
       median_us([&] { catalog.runs({.limit = 50, .state = RunState::failed}); }));
  show("runs not finished", median_us([&] { catalog.runs({.unfinished = true}); }));
  show("artifacts of a job, newest 5",
       median_us([&] { catalog.artifacts({.limit = 5, .job = "job-3"}); }));
  show("artifact latest:JOB", median_us([&] { catalog.artifact("latest:job-3"); }));
  show("update_run (without the wait for a disk)", median_us([&] { catalog.update_run(run); }));
  show("append_log", median_us([&] { catalog.append_log(run.id, line); }));
  CHECK(status < 2000);
}
