// One attempt: hooks around the verb, limits of time, cancelling, and the state it ends in.
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "job/hooks.hpp"
#include "unit/job/job_fixture.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::job {
namespace {

using test::JobFixture;
using util::cat;

// Runs of a job with hooks; the verb itself fails at once, unless it never gets its turn.
struct AttemptFixture : JobFixture {
  Request request;
  std::filesystem::path told = folder.path() / "told";

  AttemptFixture() { add_hopeless_job("nightly"); }

  Run run(RunnerOptions options = {}) {
    Runner runner(services, pool.post(), options);
    const Run run = runner.submit(run_of("nightly"), request);
    pool.run_all();
    return catalog.run(run.id);
  }
  std::string told_lines() {
    const auto content = util::read_file(told);
    return content ? std::string(util::as_text(*content)) : "";
  }
  bool in_log(const Run& run, std::string_view line) {
    for (const catalog::LogLine& found : catalog.log(run.id)) {
      if (found.line == line) return true;
    }
    return false;
  }
};

}  // namespace

TEST_CASE_METHOD(AttemptFixture, "hooks: before and after, also when the verb fails", "[job]") {
  request.policy.pre_hook = cat("echo \"$DBBACKUP_HOOK $DBBACKUP_STATE\" >> ", told.string(),
                                "; echo on the way; echo to the log >&2");
  request.policy.post_hook =
      cat("echo \"$DBBACKUP_HOOK $DBBACKUP_STATE $DBBACKUP_ERROR_CODE\" >> ", told.string());
  const Run ended = run();
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "unsupported");
  CHECK(ended.warnings.empty());
  CHECK(told_lines() == "pre running\npost failed unsupported\n");
  CHECK(in_log(ended, "pre-hook: on the way"));
  CHECK(in_log(ended, "pre-hook: to the log"));
}

TEST_CASE_METHOD(AttemptFixture, "hooks: a failing pre-hook fails the run before the verb",
                 "[job]") {
  request.policy.pre_hook = "echo no space; exit 3";
  request.policy.post_hook = cat("echo cleaned >> ", told.string());
  const Run ended = run();
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "refused");
  CHECK(ended.error->message == "the pre-hook failed with exit status 3");
  CHECK(in_log(ended, "pre-hook: no space"));
  CHECK_FALSE(logged("repository main"));
  CHECK(told_lines() == "cleaned\n");
}

TEST_CASE_METHOD(AttemptFixture, "hooks: exit status 75 of the pre-hook asks for a retry",
                 "[job]") {
  request.policy.pre_hook = "exit 75";
  request.policy.retries = 1;
  const Run waiting = run();
  CHECK(waiting.state == RunState::queued);
  CHECK(waiting.attempt == 2);
  CHECK(waiting.earlier_attempts.front().error.code == "unavailable");
}

TEST_CASE_METHOD(AttemptFixture, "hooks: a failing post-hook is a warning", "[job]") {
  request.policy.post_hook = "exit 4";
  const Run ended = run();
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "unsupported");
  CHECK(ended.warnings == std::vector<std::string>{"the post-hook failed with exit status 4"});
}

TEST_CASE_METHOD(AttemptFixture,
                 "hooks: cancelling ends a pre-hook and what it started; the "
                 "post-hook still cleans up",
                 "[job]") {
  request.policy.pre_hook = "echo ready; sleep 600 & wait";
  request.policy.post_hook = cat("echo cleaned after $DBBACKUP_STATE >> ", told.string());
  Runner runner(services, pool.post(), 4);
  const Run run = runner.submit(run_of("nightly"), request);
  on_line = [&](std::string_view line) {
    if (line == "pre-hook: ready") runner.cancel(run.id);
  };
  const auto begin = std::chrono::steady_clock::now();
  pool.run_all();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  CHECK(state_of(run) == RunState::cancelled);
  CHECK(told_lines() == "cleaned after cancelled\n");
}

TEST_CASE_METHOD(AttemptFixture, "hooks: cancelling a second time ends the post-hook", "[job]") {
  request.policy.post_hook = "echo ready; sleep 600";
  Runner runner(services, pool.post(), 4);
  const Run run = runner.submit(run_of("nightly"), request);
  on_line = [&](std::string_view line) {
    if (line == "post-hook: ready") runner.cancel(run.id);
  };
  pool.run_all();
  const Run ended = catalog.run(run.id);
  CHECK(ended.state == RunState::failed);
  CHECK(ended.warnings == std::vector<std::string>{"the post-hook was stopped"});
}

TEST_CASE_METHOD(AttemptFixture, "hooks: their time is limited", "[job]") {
  request.policy.pre_hook = "echo ready; sleep 600";
  on_line = [&](std::string_view line) {
    if (line == "pre-hook: ready") clock.advance(std::chrono::minutes(10));
  };
  SECTION("by the daemon") {}
  SECTION("by the job") { request.policy.hook_timeout = std::chrono::minutes(9); }
  const Run ended = run({.hook_timeout = std::chrono::minutes(10)});
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "timed_out");
  CHECK(ended.error->message.starts_with("the pre-hook took longer than "));
}

TEST_CASE_METHOD(AttemptFixture, "hooks: what they see of the daemon", "[job]") {
  ::setenv("NOTIFY_SOCKET", "/run/notify", 1);
  ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
  ::setenv("DBBACKUP_KILL_SECRET", "x", 1);
  Run run = run_of("nightly");
  run.id = "01abc";
  run.state = RunState::failed;
  run.error = catalog::RunError{"io", "line\nbreak", ""};
  const std::vector<std::string> environment = hook_environment(run, "post");
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("CREDENTIALS_DIRECTORY");
  ::unsetenv("DBBACKUP_KILL_SECRET");
  const auto has = [&](const std::string& entry) {
    return std::find(environment.begin(), environment.end(), entry) != environment.end();
  };
  for (const char* entry :
       {"DBBACKUP_HOOK=post", "DBBACKUP_RUN_ID=01abc", "DBBACKUP_JOB=nightly",
        "DBBACKUP_DATABASE=shop", "DBBACKUP_REPOSITORY=main", "DBBACKUP_KIND=backup",
        "DBBACKUP_TYPE=full", "DBBACKUP_ATTEMPT=1", "DBBACKUP_STATE=failed",
        "DBBACKUP_ARTIFACT=", "DBBACKUP_ERROR_CODE=io", "DBBACKUP_ERROR_MESSAGE=line\\x0abreak"}) {
    INFO(entry);
    CHECK(has(entry));
  }
  for (const std::string& entry : environment) {
    INFO(entry);
    CHECK_FALSE(entry.starts_with("NOTIFY_SOCKET"));
    CHECK_FALSE(entry.starts_with("CREDENTIALS_DIRECTORY"));
    CHECK_FALSE(entry.starts_with("DBBACKUP_KILL_SECRET"));
  }
}

TEST_CASE_METHOD(AttemptFixture, "timeout: an attempt that takes too long ends as timed out",
                 "[job]") {
  request.policy.pre_hook = "echo ready; sleep 600";  // stands for a verb that takes its time
  request.policy.timeout = std::chrono::minutes(5);
  Runner runner(services, pool.post(), 4);
  const Run run = runner.submit(run_of("nightly"), request);
  on_line = [&](std::string_view line) {
    if (line != "pre-hook: ready") return;
    clock.advance(std::chrono::minutes(5) - util::Milliseconds(1));
    runner.watch();
    CHECK(runner.running() == 1);
    clock.advance(util::Milliseconds(1));
    runner.watch();
  };
  pool.run_all();
  const Run ended = catalog.run(run.id);
  CHECK(ended.state == RunState::failed);
  CHECK(ended.error->code == "timed_out");
  CHECK(ended.error->message == "it took longer than 5m");
}

TEST_CASE_METHOD(AttemptFixture, "stall: only while the verb runs, hooks have limits of their own",
                 "[job]") {
  request.policy.pre_hook = "true";
  Runner runner(services, pool.post(), RunnerOptions{.stall_timeout = std::chrono::minutes(5)});
  const Run run = runner.submit(run_of("nightly"), request);
  on_line = [&](std::string_view line) {
    if (line != "pre-hook: started") return;
    clock.advance(std::chrono::minutes(9));
    runner.watch();
  };
  pool.run_all();
  CHECK(catalog.run(run.id).error->code == "unsupported");
}

}  // namespace dbbackup::job
