// The life of a run: queued, executed beside others or after them, cancelled, and always ended in
// the catalog.
#include "job/runner.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "unit/job/job_fixture.hpp"

namespace dbbackup::job {
namespace {

using catalog::RunKind;
using test::error_of;
using test::JobFixture;
using util::ErrorCode;

constexpr std::size_t kPlenty = 8;  // runs at once, where that is not what a test is about

std::vector<std::string> actions(catalog::Catalog& catalog) {
  std::vector<std::string> found;
  for (const catalog::Event& event : catalog.events({}, {})) {
    found.push_back(event.action + " " + event.outcome);
  }
  return found;
}

}  // namespace

TEST_CASE("runner: a submitted run is in the catalog before it starts", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("nightly");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  Request request;
  request.scope.include = {"orders"};
  const Run run = runner.submit(JobFixture::run_of("nightly"), request);
  CHECK(run.state == RunState::queued);
  CHECK(run.queued_at == fixture.clock.now());
  const Run stored = fixture.catalog.run(run.id);
  CHECK(stored.state == RunState::queued);
  CHECK(stored.job == "nightly");
  CHECK(decode_request(stored.request).scope.include == std::vector<std::string>{"orders"});
  CHECK(runner.busy("nightly"));
  CHECK_FALSE(runner.busy("other"));
  CHECK(fixture.pool.size() == 1);
  fixture.pool.run_all();
  CHECK_FALSE(runner.busy("nightly"));
  CHECK(runner.running() == 0);
}

TEST_CASE("runner: a failing run records code, message, hint, log and event", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("nightly");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run run = runner.submit(JobFixture::run_of("nightly"), {});
  fixture.clock.advance(util::Seconds(5));
  fixture.on_line = [&](std::string_view line) {
    if (line == "backup started") fixture.clock.advance(util::Seconds(2));
  };
  fixture.pool.run_all();
  const Run ended = fixture.catalog.run(run.id);
  CHECK(ended.state == RunState::failed);
  CHECK(ended.started_at == run.queued_at + util::Seconds(5));
  CHECK(ended.finished_at == run.queued_at + util::Seconds(7));
  REQUIRE(ended.error);
  CHECK(ended.error->code == "unsupported");
  CHECK(ended.error->message.starts_with("repository main: "));
  CHECK_FALSE(ended.error->hint.empty());
  CHECK(actions(fixture.catalog) == std::vector<std::string>{"run.failed unsupported"});
  CHECK(fixture.catalog.events({}, {}).front().object == "run " + run.id);
  const auto log = fixture.catalog.log(run.id);
  REQUIRE_FALSE(log.empty());
  CHECK(log.back().severity == util::Severity::error);
  CHECK(log.back().line.ends_with("(unsupported)"));
  CHECK(fixture.logged("backup failed: repository main: "));
}

TEST_CASE("runner: a run has ended in the catalog before it stops being busy", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("nightly");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run run = runner.submit(JobFixture::run_of("nightly"), {});
  bool seen = false;
  fixture.on_line = [&](std::string_view line) {
    if (!line.starts_with("backup failed")) return;
    seen = true;
    CHECK(fixture.state_of(run) == RunState::failed);
    CHECK(runner.busy("nightly"));
  };
  fixture.pool.run_all();
  CHECK(seen);
  CHECK_FALSE(runner.busy("nightly"));
}

TEST_CASE("runner: no more runs at once than allowed, in the order of submission", "[job]") {
  JobFixture fixture;
  for (const char* job : {"a", "b", "c", "d"}) fixture.add_hopeless_job(job);
  Runner runner(fixture.services, fixture.pool.post(), 2);
  std::vector<Run> runs;
  for (const char* job : {"a", "b", "c", "d"}) {
    runs.push_back(runner.submit(JobFixture::run_of(job), {}));
  }
  CHECK(fixture.pool.size() == 2);
  CHECK(runner.running() == 2);
  fixture.pool.run_one();
  CHECK(fixture.state_of(runs[0]) == RunState::failed);
  CHECK(fixture.state_of(runs[2]) == RunState::queued);
  CHECK(fixture.pool.size() == 2);
  fixture.pool.run_all();
  for (const Run& run : runs) CHECK(fixture.state_of(run) == RunState::failed);
}

TEST_CASE("runner: runs of one lane never overlap, others pass them", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  fixture.add_hopeless_job("b");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run first = runner.submit(JobFixture::run_of("a"), {});
  const Run second = runner.submit(JobFixture::run_of("a"), {});
  const Run third = runner.submit(JobFixture::run_of("a"), {});
  const Run other = runner.submit(JobFixture::run_of("b"), {});
  CHECK(fixture.pool.size() == 2);  // the first of a, and b
  fixture.pool.run_one();
  CHECK(fixture.state_of(first) == RunState::failed);
  fixture.pool.run_one();
  CHECK(fixture.state_of(other) == RunState::failed);
  CHECK(fixture.state_of(second) == RunState::queued);
  CHECK(fixture.pool.size() == 1);
  fixture.pool.run_one();
  CHECK(fixture.state_of(second) == RunState::failed);
  CHECK(fixture.state_of(third) == RunState::queued);
  fixture.pool.run_all();
  CHECK(fixture.state_of(third) == RunState::failed);
}

TEST_CASE("runner: which runs exclude each other", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const auto started = [&](RunKind kind, const std::string& job, const std::string& target) {
    const std::size_t before = fixture.pool.size();
    Run run = JobFixture::run_of(job);
    run.kind = kind;
    Request request;
    request.target = target;
    runner.submit(run, request);
    return fixture.pool.size() == before + 1;
  };
  CHECK(started(RunKind::backup, "a", ""));
  CHECK_FALSE(started(RunKind::backup, "a", ""));
  CHECK(started(RunKind::backup, "", ""));  // ad-hoc backups are nobody's
  CHECK(started(RunKind::backup, "", ""));
  CHECK(started(RunKind::restore, "", "shop2"));
  CHECK_FALSE(started(RunKind::restore, "", "shop2"));
  CHECK_FALSE(started(RunKind::drill, "", "shop2"));
  CHECK(started(RunKind::drill, "", ""));
  CHECK(started(RunKind::drill, "", ""));
  CHECK(started(RunKind::prune, "", ""));
  CHECK_FALSE(started(RunKind::rescan, "", ""));
}

TEST_CASE("runner: a queued run is cancelled without having run", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run first = runner.submit(JobFixture::run_of("a"), {});
  const Run second = runner.submit(JobFixture::run_of("a"), {});
  const Run third = runner.submit(JobFixture::run_of("a"), {});
  runner.cancel(second.id);
  const Run ended = fixture.catalog.run(second.id);
  CHECK(ended.state == RunState::cancelled);
  CHECK_FALSE(ended.started_at);
  CHECK(ended.finished_at);
  REQUIRE(ended.error);
  CHECK(ended.error->code == "cancelled");
  CHECK(actions(fixture.catalog) == std::vector<std::string>{"run.cancelled cancelled"});
  CHECK(runner.running() == 1);
  CHECK(fixture.pool.size() == 1);
  fixture.pool.run_all();
  CHECK(fixture.state_of(first) == RunState::failed);
  CHECK(fixture.state_of(third) == RunState::failed);
}

TEST_CASE("runner: a running run is asked to stop and ends as cancelled", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run run = runner.submit(JobFixture::run_of("a"), {});
  fixture.on_line = [&](std::string_view line) {
    if (line == "backup started") runner.cancel(run.id);
  };
  fixture.pool.run_all();
  const Run ended = fixture.catalog.run(run.id);
  CHECK(ended.state == RunState::cancelled);
  CHECK(ended.started_at);
  CHECK(ended.error->code == "cancelled");
}

TEST_CASE("runner: what cannot be cancelled says why", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run run = runner.submit(JobFixture::run_of("a"), {});
  fixture.pool.run_all();
  CHECK(error_of([&] { runner.cancel(run.id); }).code() == ErrorCode::conflict);
  const std::string unknown = fixture.ids.next();
  CHECK(error_of([&] { runner.cancel(unknown); }).code() == ErrorCode::not_found);
}

TEST_CASE("runner: drained, it starts nothing and keeps the queue for the next process", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Request request;
  request.scope.include = {"orders"};
  Run running;
  Run queued;
  {
    Runner runner(fixture.services, fixture.pool.post(), 1);
    running = runner.submit(JobFixture::run_of("a"), {});
    queued = runner.submit(JobFixture::run_of("a"), request);
    runner.drain();
    CHECK(error_of([&] { runner.submit(JobFixture::run_of("a"), {}); }).code() ==
          ErrorCode::unavailable);
    fixture.pool.run_all();
    runner.wait_until_idle();
    CHECK(runner.running() == 0);
  }
  CHECK(fixture.state_of(running) == RunState::failed);
  CHECK(fixture.state_of(queued) == RunState::queued);
  CHECK(fixture.catalog.runs({}).size() == 2);  // the refused one left no trace

  CHECK(fixture.catalog.mark_interrupted("restart").empty());
  Runner next(fixture.services, fixture.pool.post(), 1);
  for (const Run& run : fixture.catalog.runs({.unfinished = true})) next.resume(run);
  CHECK(next.busy("a"));
  fixture.pool.run_all();
  CHECK(fixture.state_of(queued) == RunState::failed);
  CHECK(decode_request(fixture.catalog.run(queued.id).request).scope.include ==
        request.scope.include);
}

TEST_CASE("runner: while draining, running runs can be cancelled and queued ones stay", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), 1);
  const Run running = runner.submit(JobFixture::run_of("a"), {});
  const Run queued = runner.submit(JobFixture::run_of("a"), {});
  runner.drain();
  runner.cancel_all();
  fixture.pool.run_all();
  runner.wait_until_idle();
  CHECK(fixture.state_of(running) == RunState::cancelled);
  CHECK(fixture.state_of(queued) == RunState::queued);
}

TEST_CASE("runner: a run that needs a passphrase does not go on without it after a restart",
          "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Request request;
  request.passphrase = crypto::Secret::from_text("secret");
  Run run = JobFixture::run_of("");
  run.kind = RunKind::export_;
  {
    Runner died(fixture.services, fixture.pool.post(), kPlenty);
    run = died.submit(run, request);
    fixture.pool.forget();
  }
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  runner.resume(fixture.catalog.run(run.id));
  fixture.pool.run_all();
  const Run ended = fixture.catalog.run(run.id);
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "refused");
  CHECK(ended.error->message.find("passphrase") != std::string::npos);
}

TEST_CASE("runner: a snapshot is live while a run lives and from the catalog afterwards", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  const Run run = runner.submit(JobFixture::run_of("a"), {});
  CHECK(runner.snapshot(run.id).run.state == RunState::queued);
  fixture.on_line = [&](std::string_view line) {
    if (line == "backup started") {
      CHECK(runner.snapshot(run.id).run.state == RunState::running);
    }
  };
  fixture.pool.run_all();
  CHECK(runner.snapshot(run.id).run.state == RunState::failed);
  CHECK(error_of([&] { runner.snapshot(fixture.ids.next()); }).code() == ErrorCode::not_found);
}

TEST_CASE("runner: waiting ends with a change or with a request to stop", "[job]") {
  JobFixture fixture;
  fixture.add_hopeless_job("a");
  Runner runner(fixture.services, fixture.pool.post(), kPlenty);
  std::stop_source stop;
  stop.request_stop();
  runner.wait_for_change(std::chrono::hours(1), stop.get_token());

  const Run run = runner.submit(JobFixture::run_of("a"), {});
  std::jthread worker([&] { fixture.pool.run_all(); });
  while (!catalog::is_ended(runner.snapshot(run.id).run.state)) {
    runner.wait_for_change(std::chrono::milliseconds(20), {});
  }
  CHECK(fixture.state_of(run) == RunState::failed);
}

TEST_CASE("runner: many threads submit, execute and cancel", "[job]") {
  JobFixture fixture;
  const std::vector<std::string> jobs{"a", "b", "c"};
  for (const std::string& job : jobs) fixture.add_hopeless_job(job);
  std::mutex mutex;
  std::condition_variable_any posted;
  std::deque<std::function<void()>> work;
  constexpr std::size_t kThreads = 3;
  constexpr int kRunsEach = 12;
  Runner runner(
      fixture.services,
      [&](std::function<void()> one) {
        const std::scoped_lock lock(mutex);
        work.push_back(std::move(one));
        posted.notify_one();
      },
      kThreads);
  {
    std::vector<std::jthread> pool;
    for (std::size_t i = 0; i < kThreads; ++i) {
      pool.emplace_back([&](const std::stop_token& stop) {
        while (true) {
          std::function<void()> one;
          {
            std::unique_lock lock(mutex);
            if (!posted.wait(lock, stop, [&] { return !work.empty(); })) return;
            one = std::move(work.front());
            work.pop_front();
          }
          one();
        }
      });
    }
    {
      std::vector<std::jthread> callers;
      for (const std::string& job : jobs) {
        callers.emplace_back([&runner, job] {
          for (int i = 0; i < kRunsEach; ++i) {
            const Run run = runner.submit(JobFixture::run_of(job), {});
            if (i % 4 != 0) continue;
            try {
              runner.cancel(run.id);
            } catch (const util::Error&) {
              // It was faster.
            }
          }
        });
      }
    }
    while (!fixture.catalog.runs({.unfinished = true}).empty()) {
      runner.wait_for_change(std::chrono::milliseconds(20), {});
    }
    runner.drain();
    runner.wait_until_idle();
  }
  const auto runs = fixture.catalog.runs({});
  CHECK(runs.size() == jobs.size() * kRunsEach);
  CHECK(std::all_of(runs.begin(), runs.end(),
                    [](const Run& run) { return catalog::is_ended(run.state); }));
  CHECK(runner.running() == 0);
}

}  // namespace dbbackup::job
