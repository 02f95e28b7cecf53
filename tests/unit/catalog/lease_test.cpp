// One daemon at a time writes; whoever has lost the lease is refused, whatever it believes.
#include <catch2/catch.hpp>

#include "catalog/catalog.hpp"
#include "unit/catalog/catalog_fixture.hpp"

namespace dbbackup::catalog {
namespace {

using test::CatalogFixture;
using test::error_of;
using util::ErrorCode;

struct LeaseFixture : CatalogFixture {
  Catalog second{file, key, clock};
};

}  // namespace

TEST_CASE_METHOD(LeaseFixture, "lease: a second holder waits until the first one is silent",
                 "[catalog]") {
  const std::int64_t fence = catalog.take_lease("lock 1");
  const util::Error refused = error_of([&] { second.take_lease("lock 2"); });
  CHECK(refused.code() == ErrorCode::conflict);
  CHECK_FALSE(refused.hint().empty());

  clock.advance(Catalog::kLeaseTime - util::Milliseconds(1));
  CHECK(error_of([&] { second.take_lease("lock 2"); }).code() == ErrorCode::conflict);
  catalog.renew_lease({});
  clock.advance(Catalog::kLeaseTime - util::Milliseconds(1));
  CHECK(error_of([&] { second.take_lease("lock 2"); }).code() == ErrorCode::conflict);
  clock.advance(util::Milliseconds(1));
  CHECK(second.take_lease("lock 2") == fence + 1);
}

TEST_CASE_METHOD(LeaseFixture, "lease: every write of an earlier holder is refused", "[catalog]") {
  catalog.take_lease("lock 1");
  add_job("nightly");
  const Run run = add_run("nightly", RunState::running);
  clock.advance(Catalog::kLeaseTime);
  second.take_lease("lock 2");

  const auto refused = [&](auto write) {
    const util::Error error = error_of(write);
    return error.code() == ErrorCode::conflict &&
           error.message().find("has taken over the control database") != std::string::npos;
  };
  CHECK(refused([&] { catalog.update_run(run); }));
  CHECK(refused([&] { catalog.append_log(run.id, {clock.now(), util::Severity::info, "x"}); }));
  CHECK(refused([&] { catalog.renew_lease({run.id}); }));
  CHECK(refused([&] { catalog.require_lease(); }));
  CHECK(refused([&] { catalog.put_artifact(make_artifact("nightly", "2026-11-20T12:00:00Z")); }));
  CHECK(refused([&] { catalog.set_setting("a", "b"); }));
  CHECK(catalog.run(run.id).state == RunState::running);  // reading harms nobody
  CHECK(second.log(run.id).empty());
  CHECK(second.artifacts({}).empty());
  CHECK(second.mark_interrupted("taken over").size() == 1);
  second.require_lease();
  catalog.release_lease();  // says nothing, and takes nothing from the holder
  Catalog third(file, key, clock);
  CHECK(error_of([&] { third.take_lease("lock 3"); }).code() == ErrorCode::conflict);
}

TEST_CASE_METHOD(LeaseFixture, "lease: a holder that is known to be dead need not be waited for",
                 "[catalog]") {
  const std::int64_t fence = catalog.take_lease("lock 1");
  CHECK(second.take_lease("lock 1") == fence + 1);
  CHECK(error_of([&] { catalog.require_lease(); }).code() == ErrorCode::conflict);
}

TEST_CASE_METHOD(LeaseFixture, "lease: given back, it can be taken at once", "[catalog]") {
  catalog.take_lease("lock 1");
  catalog.release_lease();
  CHECK(second.take_lease("lock 2") > 0);
}

TEST_CASE_METHOD(LeaseFixture, "lease: a clock that was set back does not make the dead live",
                 "[catalog]") {
  catalog.take_lease("lock 1");
  clock.set(clock.now() - std::chrono::hours(5));
  CHECK(second.take_lease("lock 2") > 0);
}

TEST_CASE_METHOD(LeaseFixture, "lease: the heartbeat is noted with what is executing",
                 "[catalog]") {
  catalog.take_lease("lock 1");
  add_job("nightly");
  const Run running = add_run("nightly", RunState::running);
  const Run queued = add_run("nightly", RunState::queued);
  clock.advance(util::Seconds(5));
  catalog.renew_lease({running.id, queued.id});
  CHECK(catalog.run(running.id).heartbeat_at == clock.now());
  CHECK_FALSE(catalog.run(queued.id).heartbeat_at);
}

TEST_CASE_METHOD(CatalogFixture, "runs: attempts, fence and the time to wait for are kept",
                 "[catalog]") {
  Run run = make_run("nightly", RunState::queued);
  run.attempt = 3;
  run.start_after = clock.now() + util::Seconds(7);
  run.fence = 5;
  run.heartbeat_at = clock.now();
  run.earlier_attempts = {
      {1, RunState::failed, clock.now(), clock.now() + util::Seconds(1), {"io", "bad \xff", "h"}},
      {2, RunState::interrupted, {}, clock.now(), {"unavailable", "gone", ""}}};
  catalog.add_run(run);
  const Run found = catalog.run(run.id);
  CHECK(found.attempt == 3);
  CHECK(found.start_after == run.start_after);
  CHECK(found.fence == 5);
  CHECK(found.heartbeat_at == run.heartbeat_at);
  REQUIRE(found.earlier_attempts.size() == 2);
  CHECK(found.earlier_attempts[0].number == 1);
  CHECK(found.earlier_attempts[0].started_at == clock.now());
  CHECK(found.earlier_attempts[0].error.code == "io");
  CHECK(found.earlier_attempts[0].error.message == "bad \\xff");
  CHECK(found.earlier_attempts[1].state == RunState::interrupted);
  CHECK_FALSE(found.earlier_attempts[1].started_at);
}

}  // namespace dbbackup::catalog
