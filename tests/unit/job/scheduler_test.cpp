// From schedules to runs, over simulated weeks: each instant fires once whatever restarts and
// clocks do.
#include "job/scheduler.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "schedule/next.hpp"
#include "unit/job/job_fixture.hpp"

namespace dbbackup::job {
namespace {

using catalog::Schedule;
using catalog::ScheduleKind;
using test::JobFixture;
using test::time_of;
using util::Milliseconds;
using util::TimePoint;

struct SchedulerFixture : JobFixture {
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Scheduler> scheduler;

  SchedulerFixture() { start(); }

  // What a new process does: marks, resumes, and looks at the schedules with fresh objects.
  void start() {
    scheduler.reset();
    pool.forget();
    runner = std::make_unique<Runner>(services, pool.post(), 8);
    catalog.mark_interrupted("restart");
    for (const Run& run : catalog.runs({.unfinished = true})) runner->resume(run);
    scheduler = std::make_unique<Scheduler>(services, *runner);
  }

  Schedule add(
      const std::string& name, const std::string& cron,
      const std::function<void(Schedule&)>& change = [](Schedule&) {}) {
    Schedule schedule;
    schedule.name = name;
    schedule.target = "nightly";
    schedule.cron = cron;
    schedule.timezone = "UTC";
    schedule.created = clock.now();
    change(schedule);
    if (!catalog.find_job("nightly")) add_hopeless_job("nightly");
    catalog.add_schedule(schedule);
    return schedule;
  }

  // The instants of one schedule that became runs, noted at every tick.
  struct Watch {
    std::string schedule;
    std::string last_run = {};
    std::vector<TimePoint> instants = {};
  };
  void note(Watch& watch) {
    const Schedule schedule = catalog.schedule(watch.schedule);
    if (schedule.last_run == watch.last_run) return;
    watch.last_run = schedule.last_run;
    watch.instants.push_back(schedule.handled_until.value());
  }

  std::vector<Run> runs() { return catalog.runs({}); }
};

std::vector<TimePoint> expected(const Schedule& schedule, TimePoint until) {
  const schedule::Timing timing = make_timing(schedule);
  std::vector<TimePoint> instants;
  TimePoint at = schedule.created;
  while (const auto fire =
             schedule::next_after(timing.expression, at, timing.zone, schedule.created)) {
    if (fire->at > until) break;
    at = fire->at;
    instants.push_back(at);
  }
  return instants;
}

}  // namespace

TEST_CASE("scheduler: fires once per instant over a week of restarts and clocks set back",
          "[job]") {
  SchedulerFixture fixture;
  // The week in which Berlin's clocks go forward.
  fixture.clock.set(time_of("2026-03-25T10:07:00Z"));
  const Schedule schedule =
      fixture.add("often", "*/20 * * * *", [](Schedule& one) { one.timezone = "Europe/Berlin"; });
  const Schedule daily =
      fixture.add("daily", "30 2 * * *", [](Schedule& one) { one.timezone = "Europe/Berlin"; });
  const TimePoint end = time_of("2026-04-01T10:07:00Z");
  SchedulerFixture::Watch often{"often"};
  SchedulerFixture::Watch nightly{"daily"};
  int ticks = 0;
  while (fixture.clock.now() < end) {
    const Milliseconds sleep = fixture.scheduler->tick();
    REQUIRE(sleep > Milliseconds(0));
    REQUIRE(sleep <= Scheduler::kLongestSleep);
    fixture.note(often);
    fixture.note(nightly);
    ++ticks;
    if (ticks % 17 == 0) {
      fixture.start();  // dies with whatever it was about to run
    } else if (ticks % 3 == 0) {
      fixture.pool.run_all();
    }
    if (ticks == 500 || ticks == 4000)
      fixture.clock.set(fixture.clock.now() - std::chrono::hours(2));
    fixture.clock.advance(sleep);
  }
  fixture.pool.run_all();
  CHECK(often.instants == expected(schedule, end));
  CHECK(nightly.instants == expected(daily, end));
  CHECK(nightly.instants.size() == 7);
  CHECK(fixture.runs().size() == often.instants.size() + nightly.instants.size());
  CHECK(fixture.catalog.runs({.unfinished = true}).empty());
}

TEST_CASE("scheduler: a run beside its times is the schedule's last one and moves no instant",
          "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add("hourly", "0 * * * *");
  const Run run = fixture.scheduler->fire_now(schedule);
  const Schedule after = fixture.catalog.schedule("hourly");
  CHECK(after.last_run == run.id);
  CHECK(after.last_run_at == run.queued_at);
  CHECK(after.handled_until == schedule.handled_until);
}

TEST_CASE("scheduler: a clock set forward, or a long sleep, makes one run", "[job]") {
  SchedulerFixture fixture;
  fixture.add("hourly", "0 * * * *");
  fixture.scheduler->tick();
  CHECK(fixture.runs().empty());
  fixture.clock.set(fixture.clock.now() + std::chrono::hours(30) + std::chrono::minutes(10));
  fixture.scheduler->tick();
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
  CHECK(fixture.catalog.schedule("hourly").handled_until == time_of("2026-11-21T18:00:00Z"));
  CHECK(fixture.logged("29 earlier fire times were missed"));
}

TEST_CASE("scheduler: what was missed is caught up once, or left out", "[job]") {
  SchedulerFixture fixture;
  fixture.add("once", "0 2 * * *");
  fixture.add_hopeless_job("other");
  fixture.add("skip", "0 2 * * *", [](Schedule& schedule) {
    schedule.catch_up = false;
    schedule.target = "other";
  });
  fixture.scheduler->tick();
  fixture.clock.advance(std::chrono::hours(24 * 3));
  fixture.start();
  fixture.scheduler->tick();
  REQUIRE(fixture.runs().size() == 1);
  CHECK(fixture.runs().front().schedule == "once");
  CHECK(fixture.catalog.schedule("skip").handled_until == time_of("2026-11-23T02:00:00Z"));
  fixture.pool.run_all();
  // Both fire at their next time.
  fixture.clock.set(time_of("2026-11-24T02:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 3);
}

TEST_CASE("scheduler: a job that still runs is skipped, and the skip is on record", "[job]") {
  SchedulerFixture fixture;
  fixture.add("often", "*/5 * * * *");
  fixture.clock.advance(std::chrono::minutes(5));
  fixture.scheduler->tick();
  fixture.clock.advance(std::chrono::minutes(5));
  fixture.scheduler->tick();
  const auto runs = fixture.runs();
  REQUIRE(runs.size() == 2);
  const Run& skipped = runs.front();  // the newest
  CHECK(skipped.state == RunState::skipped);
  CHECK(skipped.schedule == "often");
  CHECK(skipped.job == "nightly");
  CHECK(skipped.finished_at == fixture.clock.now());
  REQUIRE(skipped.error);
  CHECK(skipped.error->code == "conflict");
  CHECK(skipped.error->message == "job nightly is still running");
  CHECK(fixture.catalog.schedule("often").last_run == skipped.id);
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);  // once, not at every look
  fixture.pool.run_all();
  fixture.clock.advance(std::chrono::minutes(5));
  fixture.scheduler->tick();
  CHECK(fixture.runs().front().state == RunState::queued);
}

TEST_CASE("scheduler: a drill, check or prune that still runs is skipped like a job", "[job]") {
  SchedulerFixture fixture;
  fixture.add_hopeless_job("nightly");
  const auto kind = GENERATE(ScheduleKind::check, ScheduleKind::prune);
  fixture.add("often", "*/5 * * * *", [kind](Schedule& one) {
    one.kind = kind;
    one.target = "main";
  });
  for (int i = 0; i < 2; ++i) {
    fixture.clock.advance(std::chrono::minutes(5));
    fixture.scheduler->tick();
  }
  const auto runs = fixture.runs();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].state == RunState::skipped);
  CHECK(runs[1].state == RunState::queued);
}

TEST_CASE("scheduler: with overlap queue one run waits for its turn, and only one", "[job]") {
  SchedulerFixture fixture;
  fixture.add("often", "*/5 * * * *", [](Schedule& one) { one.queue_overlap = true; });
  for (int i = 0; i < 3; ++i) {
    fixture.clock.advance(std::chrono::minutes(5));
    fixture.scheduler->tick();
  }
  const auto runs = fixture.runs();  // newest first
  REQUIRE(runs.size() == 3);
  CHECK(runs[0].state == RunState::skipped);
  CHECK(runs[0].error.value().message.find("one waits at most") != std::string::npos);
  CHECK(fixture.pool.size() == 1);
  fixture.pool.run_all();
  CHECK(fixture.state_of(runs[1]) == RunState::failed);
  CHECK(fixture.state_of(runs[2]) == RunState::failed);
}

namespace {
std::vector<catalog::Event> events_of(catalog::Catalog& catalog, const std::string& action) {
  std::vector<catalog::Event> found = catalog.events({}, {});
  std::erase_if(found, [&](const catalog::Event& event) { return event.action != action; });
  return found;
}
}  // namespace

TEST_CASE("scheduler: a due run outside its windows waits until one opens, across restarts",
          "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add("night", "0 13,15 * * *", [](Schedule& one) {
    one.windows = {"22:00-06:00", "18:00-19:00"};
    one.timezone = "Europe/Berlin";
  });
  CHECK(fixture.scheduler->next_run(schedule) == time_of("2026-11-20T17:00:00Z"));
  CHECK(
      fixture.scheduler->why_waiting(schedule).starts_with("next time 2026-11-20T15:00:00+01:00"));
  fixture.clock.set(time_of("2026-11-20T14:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().empty());
  CHECK(fixture.scheduler->why_waiting(schedule) ==
        "outside its windows; waits until 2026-11-20T18:00:00+01:00");
  const auto due = fixture.scheduler->due();
  REQUIRE(due.size() == 1);
  CHECK(due.front().action == Scheduler::Action::wait);
  CHECK(due.front().starts_at == time_of("2026-11-20T17:00:00Z"));
  fixture.start();
  fixture.clock.set(time_of("2026-11-20T16:59:59.999Z"));
  CHECK(fixture.scheduler->tick() == Milliseconds(1));
  CHECK(fixture.runs().empty());
  fixture.clock.advance(Milliseconds(1));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
  CHECK(fixture.catalog.schedule("night").handled_until == time_of("2026-11-20T14:00:00Z"));
}

TEST_CASE("scheduler: a run that would overrun its window is deferred, and says so", "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add("early", "30 13 * * *", [](Schedule& one) {
    one.windows = {"13:00-14:00", "20:00-23:00"};
  });
  catalog::Run run = fixture.make_run("nightly", RunState::succeeded);
  run.started_at = run.queued_at;
  run.finished_at = run.queued_at + std::chrono::minutes(40);
  fixture.catalog.add_run(run);
  fixture.clock.set(time_of("2026-11-20T13:30:00Z"));
  fixture.scheduler->tick();
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
  const auto deferred = events_of(fixture.catalog, "schedule.deferred");
  REQUIRE(deferred.size() == 1);
  CHECK(deferred.front().object == "schedule early");
  CHECK(deferred.front().detail ==
        "expected to take 40m, and its window closes at 2026-11-20T14:00:00+00:00; deferred to "
        "2026-11-20T20:00:00+00:00");
  CHECK(fixture.scheduler->why_waiting(schedule) == deferred.front().detail);
  CHECK(fixture.scheduler->next_run(schedule) == time_of("2026-11-20T20:00:00Z"));
  fixture.clock.set(time_of("2026-11-20T20:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);
}

TEST_CASE("scheduler: work longer than every window starts anyway, with an event", "[job]") {
  SchedulerFixture fixture;
  fixture.add("long", "30 13 * * *", [](Schedule& one) { one.windows = {"13:00-14:00"}; });
  catalog::Run run = fixture.make_run("nightly", RunState::partial);
  run.started_at = run.queued_at;
  run.finished_at = run.queued_at + std::chrono::minutes(90);
  fixture.catalog.add_run(run);
  fixture.clock.set(time_of("2026-11-20T13:30:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);
  CHECK(events_of(fixture.catalog, "schedule.overruns").size() == 1);
}

TEST_CASE("scheduler: a queued run whose window closed waits for the next one", "[job]") {
  SchedulerFixture fixture;
  fixture.add("often", "*/30 * * * *", [](Schedule& one) {
    one.queue_overlap = true;
    one.windows = {"12:00-14:00"};
  });
  fixture.clock.set(time_of("2026-11-20T12:30:00Z"));
  fixture.scheduler->tick();
  fixture.clock.set(time_of("2026-11-20T13:30:00Z"));
  fixture.scheduler->tick();
  REQUIRE(fixture.runs().size() == 2);
  fixture.clock.set(time_of("2026-11-20T15:00:00Z"));
  fixture.pool.run_all();
  CHECK(fixture.runs().front().state == RunState::queued);
  CHECK(fixture.pool.size() == 0);
  fixture.start();  // the run remembers its windows
  CHECK(fixture.pool.size() == 0);
  fixture.clock.set(time_of("2026-11-21T12:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.pool.size() == 1);
}

TEST_CASE("scheduler: says what it would start, skip or leave out, and why", "[job]") {
  SchedulerFixture fixture;
  fixture.add("a-missed", "0 * * * *");
  fixture.add("b-drill", "0 * * * *", [](Schedule& one) { one.kind = ScheduleKind::drill; });
  fixture.add("c-left-out", "0 * * * *", [](Schedule& one) { one.catch_up = false; });
  fixture.clock.set(time_of("2026-11-20T15:30:00Z"));
  const auto due = fixture.scheduler->due();
  REQUIRE(due.size() == 3);
  CHECK(due[0].action == Scheduler::Action::start);
  CHECK(due[0].reason ==
        "scheduled for 2026-11-20T15:00:00+00:00; 2 earlier times were missed, one run stands for "
        "all");
  CHECK(due[1].action == Scheduler::Action::skip);
  CHECK(due[1].reason == "job nightly has no artifact to drill yet");
  CHECK(due[2].action == Scheduler::Action::skip);
  CHECK(due[2].reason == "3 missed, and left out by --catch-up skip");
  CHECK(fixture.runs().empty());
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);
  CHECK(events_of(fixture.catalog, "schedule.missed").size() == 3);
}

TEST_CASE("scheduler: a clock that was set is told, and so is a mark ahead of it", "[job]") {
  SchedulerFixture fixture;
  fixture.add("hourly", "0 * * * *");
  fixture.scheduler->tick();
  fixture.clock.set(time_of("2026-11-20T18:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
  fixture.clock.set(time_of("2026-11-20T12:00:00Z"));
  fixture.scheduler->tick();
  const auto jumped = events_of(fixture.catalog, "clock.jumped");
  REQUIRE(jumped.size() == 2);
  CHECK(jumped[0].detail.starts_with("the clock went forward by 6h"));
  CHECK(jumped[1].detail.starts_with("the clock went back by 6h"));
  CHECK(events_of(fixture.catalog, "clock.behind").size() == 1);
  const Schedule schedule = fixture.catalog.schedule("hourly");
  CHECK(fixture.scheduler->why_waiting(schedule).starts_with("the clock is 6h behind"));
  fixture.clock.set(time_of("2026-11-20T18:30:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);  // nothing twice
  CHECK(fixture.scheduler->lag_seconds() == 0);
}

TEST_CASE("scheduler: counts what passed while a schedule was paused", "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add("hourly", "0 * * * *");
  CHECK(fixture.scheduler->passed(schedule) == 0);
  fixture.clock.advance(std::chrono::hours(5));
  CHECK(fixture.scheduler->passed(schedule) == 5);
}

TEST_CASE("scheduler: a paused schedule neither fires nor is shown as next", "[job]") {
  SchedulerFixture fixture;
  Schedule schedule = fixture.add("often", "*/5 * * * *");
  schedule.paused = true;
  fixture.catalog.update_schedule(schedule);
  fixture.clock.advance(std::chrono::hours(1));
  CHECK(fixture.scheduler->tick() == Scheduler::kLongestSleep);
  CHECK(fixture.runs().empty());
  CHECK(fixture.scheduler->due().empty());
  CHECK_FALSE(fixture.scheduler->next_run(schedule));
  CHECK(fixture.scheduler->next_runs_by_job().empty());
}

TEST_CASE("scheduler: sleeps until the next fire, but never longer than a minute", "[job]") {
  SchedulerFixture fixture;
  CHECK(fixture.scheduler->tick() == Scheduler::kLongestSleep);
  fixture.add("daily", "0 13 * * *");
  CHECK(fixture.scheduler->tick() == Scheduler::kLongestSleep);
  fixture.clock.set(time_of("2026-11-20T12:59:40Z"));
  CHECK(fixture.scheduler->tick() == util::Seconds(20));
  CHECK(fixture.scheduler->lag_seconds() == 0);
  fixture.clock.advance(util::Seconds(50));
  CHECK(fixture.scheduler->lag_seconds() == 30);
  fixture.scheduler->tick();
  CHECK(fixture.scheduler->lag_seconds() == 0);
  CHECK(fixture.runs().size() == 1);
}

TEST_CASE("scheduler: jitter moves each fire by the same delay", "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add(
      "hourly", "0 * * * *", [](Schedule& one) { one.jitter = std::chrono::minutes(20); });
  const Milliseconds delay = make_timing(schedule).jitter;
  REQUIRE(delay > Milliseconds(0));
  REQUIRE(delay < std::chrono::minutes(20));
  CHECK(fixture.scheduler->next_run(schedule) == time_of("2026-11-20T13:00:00Z") + delay);
  fixture.clock.set(time_of("2026-11-20T13:00:00Z") + delay - Milliseconds(1));
  fixture.scheduler->tick();
  CHECK(fixture.runs().empty());
  fixture.clock.advance(Milliseconds(1));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
  CHECK(fixture.catalog.schedule("hourly").handled_until == time_of("2026-11-20T13:00:00Z"));
}

TEST_CASE("scheduler: a drill takes the job's newest artifact, or is skipped with the reason",
          "[job]") {
  SchedulerFixture fixture;
  fixture.add("drills", "0 * * * *", [](Schedule& one) { one.kind = ScheduleKind::drill; });
  fixture.clock.set(time_of("2026-11-20T13:00:00Z"));
  fixture.scheduler->tick();
  REQUIRE(fixture.runs().size() == 1);
  const Run skipped = fixture.runs().front();
  CHECK(skipped.kind == catalog::RunKind::drill);
  CHECK(skipped.state == RunState::skipped);
  CHECK(skipped.schedule == "drills");
  CHECK(skipped.error.value().message == "job nightly has no artifact to drill yet");

  fixture.add_artifact("nightly", "2026-11-20T13:10:00Z");
  const auto newest = fixture.add_artifact("nightly", "2026-11-20T13:20:00Z");
  fixture.clock.set(time_of("2026-11-20T14:00:00Z"));
  fixture.scheduler->tick();
  const Run run = fixture.runs().front();
  CHECK(run.state == RunState::queued);
  CHECK(run.artifact == newest.id);
  CHECK(run.database == "shop");
  CHECK(run.repository == "main");
  // A drill does not count as its job running.
  CHECK_FALSE(fixture.runner->busy("nightly"));
}

TEST_CASE("scheduler: checks and prunes run on their repository", "[job]") {
  SchedulerFixture fixture;
  fixture.add_hopeless_job("nightly");
  const auto on_repository = [](ScheduleKind kind) {
    return [kind](Schedule& one) {
      one.kind = kind;
      one.target = "main";
    };
  };
  fixture.add("checks", "0 * * * *", on_repository(ScheduleKind::check));
  fixture.add("prunes", "0 * * * *", on_repository(ScheduleKind::prune));
  fixture.clock.set(time_of("2026-11-20T13:00:00Z"));
  fixture.scheduler->tick();
  const auto runs = fixture.runs();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].kind == catalog::RunKind::prune);
  CHECK(runs[1].kind == catalog::RunKind::check);
  for (const Run& run : runs) CHECK(run.repository == "main");
  CHECK(fixture.scheduler->next_runs_by_job().empty());
}

TEST_CASE("scheduler: a schedule that cannot be served does not stop the others", "[job]") {
  SchedulerFixture fixture;
  const Schedule good = fixture.add("good", "0 * * * *");
  fixture.add_hopeless_job("other");
  Schedule broken =
      fixture.add("a-broken", "0 * * * *", [](Schedule& one) { one.target = "other"; });
  broken.timezone = "Mars/Olympus";
  fixture.catalog.update_schedule(broken);
  fixture.clock.set(time_of("2026-11-20T13:00:00Z"));
  REQUIRE(fixture.scheduler->due().size() == 1);
  CHECK(fixture.scheduler->due().front().schedule == "good");
  fixture.scheduler->tick();
  REQUIRE(fixture.runs().size() == 1);
  CHECK(fixture.runs().front().schedule == "good");
  CHECK(fixture.logged("schedule cannot be served: "));
  CHECK_FALSE(fixture.scheduler->next_run(broken));
  CHECK(fixture.scheduler->next_run(good));

  // Repaired, it fires for what it could not.
  broken.timezone = "UTC";
  fixture.catalog.update_schedule(broken);
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);
}

TEST_CASE("scheduler: says when each job runs next", "[job]") {
  SchedulerFixture fixture;
  fixture.add("late", "0 20 * * *");
  fixture.add("early", "30 14 * * *");
  fixture.add_hopeless_job("other");
  fixture.add("third", "0 3 * * *", [](Schedule& one) { one.target = "other"; });
  fixture.scheduler->tick();
  const auto next = fixture.scheduler->next_runs_by_job();
  REQUIRE(next.size() == 2);
  CHECK(next.at("nightly") == time_of("2026-11-20T14:30:00Z"));
  CHECK(next.at("other") == time_of("2026-11-21T03:00:00Z"));
  CHECK(fixture.scheduler->next_run_of_job("nightly") == time_of("2026-11-20T14:30:00Z"));
  CHECK_FALSE(fixture.scheduler->next_run_of_job("unknown"));
}

TEST_CASE("scheduler: what is due can be looked at, and started by hand", "[job]") {
  SchedulerFixture fixture;
  fixture.add("often", "*/5 * * * *");
  fixture.clock.advance(std::chrono::minutes(5));
  const auto due = fixture.scheduler->due();
  REQUIRE(due.size() == 1);
  CHECK(due.front().at == fixture.clock.now());
  CHECK(fixture.runs().empty());
  const auto started = fixture.scheduler->run_due();
  REQUIRE(started.size() == 1);
  CHECK(started.front().schedule == "often");
  CHECK(fixture.scheduler->run_due().empty());
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
}

TEST_CASE("scheduler: a run beside the times leaves the times as they are", "[job]") {
  SchedulerFixture fixture;
  const Schedule schedule = fixture.add("hourly", "0 * * * *");
  const Run run = fixture.scheduler->fire_now(schedule);
  CHECK(run.state == RunState::queued);
  CHECK(run.schedule == "hourly");
  fixture.pool.run_all();
  fixture.clock.set(time_of("2026-11-20T13:00:00Z"));
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 2);
}

TEST_CASE("scheduler: a schedule that is changed follows its new times", "[job]") {
  SchedulerFixture fixture;
  Schedule schedule = fixture.add("changing", "0 20 * * *");
  fixture.scheduler->tick();
  schedule.cron = "0 13 * * *";
  fixture.catalog.update_schedule(schedule);
  CHECK(fixture.scheduler->next_run(schedule) == time_of("2026-11-20T13:00:00Z"));
}

TEST_CASE("scheduler: while the daemon stops, an instant stays for the next process", "[job]") {
  SchedulerFixture fixture;
  fixture.add("often", "*/5 * * * *");
  fixture.clock.advance(std::chrono::minutes(5));
  fixture.runner->drain();
  fixture.scheduler->tick();
  CHECK(fixture.runs().empty());
  fixture.start();
  fixture.scheduler->tick();
  CHECK(fixture.runs().size() == 1);
}

TEST_CASE("scheduler: a run of a job carries the job's scope and settings", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("nightly");
  catalog::Job job = fixture.catalog.job("nightly");
  job.include = {"orders_*"};
  job.exclude = {"*_log"};
  job.where = {{"orders", "id > 5"}};
  const Run run = run_of_job(job, "full");
  CHECK(run.kind == catalog::RunKind::backup);
  CHECK(run.job == "nightly");
  CHECK(run.database == "shop");
  CHECK(run.repository == "main");
  const Request request = request_of_job(job, 3);
  CHECK(request.scope.include == job.include);
  CHECK(request.scope.exclude == job.exclude);
  CHECK(request.scope.where == job.where);
  CHECK(request.scope.parallel == 3);
  job.parallel = 6;
  CHECK(request_of_job(job, 3).scope.parallel == 6);
}

}  // namespace dbbackup::job
