// Retries: after which errors, after how long, how often, and what a run shows of its attempts.
#include "job/retry.hpp"

#include <catch2/catch.hpp>

#include "unit/job/job_fixture.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::job {
namespace {

using test::error_of;
using test::JobFixture;
using util::ErrorCode;

catalog::RunError error_with(std::string_view code) { return {std::string(code), "it broke", ""}; }

Policy patient() {
  Policy policy;
  policy.retries = 3;
  policy.retry_delay = util::Seconds(10);
  policy.retry_max_delay = util::Seconds(25);
  return policy;
}

// A job whose runs fail with an error that may pass: its repository's folder is not there.
struct RetryFixture : JobFixture {
  Request request;
  Runner runner{services, pool.post(), 4};

  RetryFixture() {
    add_database("shop");
    catalog::Repository repository;
    repository.name = "main";
    repository.url = "file://" + (folder.path() / "unmounted").string();
    repository.repository_id = "id-of-main";
    repository.created = clock.now();
    catalog.add_repository(repository);
    add_job("nightly");
    request.policy = patient();
  }

  Run submit() { return runner.submit(run_of("nightly"), request); }
};

}  // namespace

TEST_CASE("retry: only errors whose code says that it makes sense", "[job]") {
  Run run;
  for (const util::ErrorTraits& traits : util::all_error_traits()) {
    INFO(traits.name);
    CHECK(retry_delay(run, patient(), error_with(traits.name), 0.5).has_value() ==
          traits.retryable);
  }
  CHECK_FALSE(retry_delay(run, patient(), error_with("never heard of"), 0.5));
  CHECK_FALSE(retry_delay(run, Policy{}, error_with("io"), 0.5));  // retries: 0
}

TEST_CASE("retry: the delay doubles up to its cap, the upper half is chance", "[job]") {
  Run run;
  const auto delays = [&](double chance) {
    std::vector<util::Milliseconds> found;
    for (run.attempt = 1; run.attempt <= 3; ++run.attempt) {
      found.push_back(retry_delay(run, patient(), error_with("io"), chance).value());
    }
    return found;
  };
  using std::chrono::milliseconds;
  CHECK(delays(1.0) == std::vector<util::Milliseconds>{milliseconds(10000), milliseconds(20000),
                                                       milliseconds(25000)});
  CHECK(delays(0.0) == std::vector<util::Milliseconds>{milliseconds(5000), milliseconds(10000),
                                                       milliseconds(12500)});
  run.attempt = 4;
  CHECK_FALSE(retry_delay(run, patient(), error_with("io"), 0.5));
}

TEST_CASE_METHOD(RetryFixture, "retry: a run is tried again until no attempt is left", "[job]") {
  const Run run = submit();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    pool.run_all();
    const Run waiting = catalog.run(run.id);
    REQUIRE(waiting.state == RunState::queued);
    CHECK(waiting.attempt == attempt + 1);
    CHECK_FALSE(waiting.started_at);
    CHECK_FALSE(waiting.error);
    REQUIRE(waiting.earlier_attempts.size() == static_cast<std::size_t>(attempt));
    CHECK(waiting.earlier_attempts.back().number == attempt);
    CHECK(waiting.earlier_attempts.back().state == RunState::failed);
    CHECK(waiting.earlier_attempts.back().error.code == "unavailable");
    CHECK(waiting.earlier_attempts.back().started_at);
    REQUIRE(waiting.start_after);
    CHECK(*waiting.start_after > clock.now());
    CHECK(*waiting.start_after <= clock.now() + util::Seconds(25));
    CHECK(runner.busy("nightly"));
    CHECK(runner.running() == 0);
    CHECK(runner.retries_by_job().at("nightly") == *waiting.start_after);
    CHECK(runner.snapshot(run.id).waits_for ==
          util::cat("attempt ", attempt + 1, " of 4 at ",
                    util::format_rfc3339(*waiting.start_after)));

    runner.watch();
    CHECK(pool.size() == 0);  // too early
    clock.advance(*waiting.start_after - clock.now());
    runner.watch();
    CHECK(pool.size() == 1);
  }
  pool.run_all();
  const Run ended = catalog.run(run.id);
  CHECK(ended.state == RunState::failed);
  CHECK(ended.attempt == 4);
  CHECK(ended.earlier_attempts.size() == 3);
  CHECK(ended.error->code == "unavailable");
  CHECK_FALSE(runner.busy("nightly"));
  CHECK(runner.retries_by_job().empty());
}

TEST_CASE_METHOD(RetryFixture, "retry: the wait survives a restart", "[job]") {
  const Run run = submit();
  pool.run_all();
  const util::TimePoint at = catalog.run(run.id).start_after.value();
  Runner next(services, pool.post(), 4);
  CHECK(catalog.mark_interrupted("restart").empty());
  for (const Run& queued : catalog.runs({.unfinished = true})) next.resume(queued);
  next.watch();
  CHECK(pool.size() == 0);
  CHECK(next.snapshot(run.id).run.attempt == 2);
  clock.advance(at - clock.now());
  next.watch();
  CHECK(pool.size() == 1);
  pool.run_all();
  CHECK(catalog.run(run.id).attempt == 3);
  CHECK(catalog.run(run.id).earlier_attempts.size() == 2);
}

TEST_CASE_METHOD(RetryFixture, "retry: a clock that is set back delays it no longer than its cap",
                 "[job]") {
  const Run run = submit();
  pool.run_all();
  clock.set(clock.now() - std::chrono::hours(48));
  Runner next(services, pool.post(), 4);
  next.resume(catalog.run(run.id));
  clock.advance(util::Seconds(25));
  next.watch();
  CHECK(pool.size() == 1);
  pool.run_all();
}

TEST_CASE_METHOD(RetryFixture, "retry: a waiting one can be cancelled", "[job]") {
  const Run run = submit();
  pool.run_all();
  runner.cancel(run.id);
  const Run ended = catalog.run(run.id);
  CHECK(ended.state == RunState::cancelled);
  CHECK(ended.error->message == "cancelled while it waited for attempt 2");
  CHECK(ended.earlier_attempts.size() == 1);
  CHECK_FALSE(ended.start_after);
  clock.advance(std::chrono::hours(2));
  runner.watch();
  CHECK(pool.size() == 0);
}

TEST_CASE_METHOD(RetryFixture, "retry: another run of the job may pass one that waits", "[job]") {
  submit();
  pool.run_all();
  submit();
  CHECK(pool.size() == 1);
  pool.run_all();
}

TEST_CASE_METHOD(RetryFixture, "retry: an attempt that somebody cancelled is not repeated",
                 "[job]") {
  const Run run = submit();
  on_line = [&](std::string_view line) {
    if (line == "backup started") runner.cancel(run.id);
  };
  pool.run_all();
  CHECK(catalog.run(run.id).state == RunState::cancelled);
}

TEST_CASE_METHOD(RetryFixture, "interrupted: repeated once where retries are left", "[job]") {
  Run run = submit();
  const auto die_while_running = [&] {
    pool.forget();
    run = catalog.run(run.id);
    run.state = RunState::running;
    run.started_at = clock.now();
    catalog.update_run(run);
    Runner next(services, pool.post(), 4);
    next.settle_interrupted();
    run = catalog.run(run.id);
  };
  die_while_running();
  CHECK(run.state == RunState::queued);
  CHECK(run.attempt == 2);
  REQUIRE(run.earlier_attempts.size() == 1);
  CHECK(run.earlier_attempts.front().state == RunState::interrupted);
  CHECK(run.start_after);
  die_while_running();
  CHECK(run.state == RunState::interrupted);
  CHECK(run.attempt == 2);
  CHECK(run.error->code == "unavailable");
}

TEST_CASE_METHOD(RetryFixture, "interrupted: for good where no retries are allowed", "[job]") {
  request.policy.retries = 0;
  Run run = submit();
  pool.forget();
  run.state = RunState::running;
  catalog.update_run(run);
  Runner next(services, pool.post(), 4);
  next.settle_interrupted();
  CHECK(state_of(run) == RunState::interrupted);
}

TEST_CASE("policy: of a job, stored with the run and read again", "[job]") {
  catalog::Job job;
  job.retries = 4;
  job.retry_delay = util::Milliseconds(1);
  job.retry_max_delay = util::Milliseconds(2);
  job.timeout = util::Milliseconds(3);
  job.stall_timeout = util::Milliseconds(0);
  job.hook_timeout = util::Milliseconds(5);
  job.pre_hook = "echo before";
  job.post_hook = "echo after";
  Request request;
  request.policy = policy_of(job);
  const Policy read = decode_request(encode_request(request)).policy;
  CHECK(read.retries == 4);
  CHECK(read.retry_delay == util::Milliseconds(1));
  CHECK(read.retry_max_delay == util::Milliseconds(2));
  CHECK(read.timeout == util::Milliseconds(3));
  CHECK(read.stall_timeout == util::Milliseconds(0));
  CHECK(read.hook_timeout == util::Milliseconds(5));
  CHECK(read.pre_hook == "echo before");
  CHECK(read.post_hook == "echo after");
  const Policy none = decode_request("{}").policy;
  CHECK(none.retries == 0);
  CHECK_FALSE(none.timeout);
}

}  // namespace dbbackup::job
