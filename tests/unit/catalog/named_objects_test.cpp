// Databases, repositories, jobs and schedules.
#include "unit/catalog/catalog_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::catalog;
using namespace dbbackup::test;
using Catch::Contains;
using util::ErrorCode;

namespace {
template <typename Noun>
std::vector<std::string> names(const std::vector<Noun>& nouns) {
  std::vector<std::string> found;
  for (const Noun& noun : nouns) found.push_back(noun.name);
  return found;
}
using Names = std::vector<std::string>;
}  // namespace

TEST_CASE_METHOD(CatalogFixture, "a database comes back as it was added", "[catalog]") {
  Database added;
  added.name = "shop";
  added.engine = "postgresql";
  added.url = "postgresql://ann@db.example:5432/shop";
  added.options = {{"sslmode", "require"}, {"sslmode", "twice"}, {"", ""}};
  added.is_protected = true;
  added.restore_allowed_until = time_of("2026-11-21T00:00:00.123Z");
  added.created = time_of("2026-01-02T03:04:05.678Z");
  catalog.add_database(added, crypto::Secret::from_text("s3cret"));

  const Database found = catalog.database("shop");
  CHECK(found.engine == added.engine);
  CHECK(found.url == added.url);
  CHECK(found.options == added.options);
  CHECK(found.has_password);
  CHECK(found.is_protected);
  CHECK(found.restore_allowed_until == added.restore_allowed_until);
  CHECK(found.created == added.created);
}

TEST_CASE_METHOD(CatalogFixture, "an update keeps password and time of making", "[catalog]") {
  const Database added = add_database("shop", "s3cret");
  Database changed = added;
  changed.url = "sqlite:///elsewhere.db";
  changed.created = time_of("1999-01-01");
  catalog.update_database(changed);
  CHECK(catalog.database("shop").url == "sqlite:///elsewhere.db");
  CHECK(catalog.database("shop").created == added.created);
  CHECK(catalog.password("shop").reveal_text() == "s3cret");
}

TEST_CASE_METHOD(CatalogFixture, "a password can be set and forgotten", "[catalog]") {
  add_database("shop");
  CHECK_FALSE(catalog.database("shop").has_password);
  CHECK(catalog.password("shop").empty());
  catalog.set_password("shop", crypto::Secret::from_text("p\xc3\xa4ss"));
  CHECK(catalog.database("shop").has_password);
  CHECK(catalog.password("shop").reveal_text() == "p\xc3\xa4ss");
  catalog.set_password("shop", {});
  CHECK_FALSE(catalog.database("shop").has_password);
  CHECK(catalog.password("shop").empty());
}

TEST_CASE_METHOD(CatalogFixture, "lists are ordered by name", "[catalog]") {
  for (const char* name : {"b", "a", "c", "B"}) add_database(name);
  CHECK(names(catalog.databases()) == Names{"B", "a", "b", "c"});
  for (const char* name : {"r2", "r1"}) add_repository(name);
  CHECK(names(catalog.repositories()) == Names{"r1", "r2"});
  for (const char* name : {"j2", "j1"}) add_job(name);
  CHECK(names(catalog.jobs()) == Names{"j1", "j2"});
  for (const char* name : {"s2", "s1"}) add_schedule(name, ScheduleKind::job, "j1");
  CHECK(names(catalog.schedules()) == Names{"s1", "s2"});
}

TEST_CASE_METHOD(CatalogFixture, "a missing name is an error with the nearest one", "[catalog]") {
  const util::Error none = error_of([&] { catalog.database("shop"); });
  CHECK(none.code() == ErrorCode::not_found);
  CHECK(none.message() == "there is no database shop");
  CHECK_THAT(none.hint(), Contains("there are none yet"));

  add_job("shop-nightly");
  add_schedule("at-two", ScheduleKind::job, "shop-nightly");
  CHECK(error_of([&] { catalog.database("shpo"); }).hint() == "did you mean shop?");
  CHECK_THAT(error_of([&] { catalog.database("zebra-land"); }).hint(), Contains("database list"));
  CHECK(error_of([&] { catalog.repository("mian"); }).hint() == "did you mean main?");
  CHECK(error_of([&] { catalog.job("shop-nigthly"); }).hint() == "did you mean shop-nightly?");
  CHECK(error_of([&] { catalog.schedule("at-too"); }).hint() == "did you mean at-two?");
  CHECK(error_of([&] { catalog.database("a\nb"); }).message() == "there is no database a\\x0ab");

  CHECK_FALSE(catalog.find_database("nope"));
  CHECK_FALSE(catalog.find_repository("nope"));
  CHECK_FALSE(catalog.find_job("nope"));
  CHECK_FALSE(catalog.find_schedule("nope"));
}

TEST_CASE_METHOD(CatalogFixture, "a name is known while it exists or history speaks of it",
                 "[catalog]") {
  add_database("shop");
  CHECK_NOTHROW(catalog.require_known_database("shop"));
  CHECK_THROWS_WITH(catalog.require_known_database("shopp"), "there is no database shopp");
  CHECK_THROWS_WITH(catalog.require_known_job("nightly"), "there is no job nightly");
  Run run;
  run.id = ids.next();
  run.job = "nightly";
  run.database = "removed";
  run.queued_at = clock.now();
  catalog.add_run(run);
  CHECK_NOTHROW(catalog.require_known_job("nightly"));
  CHECK_NOTHROW(catalog.require_known_database("removed"));
}

TEST_CASE_METHOD(CatalogFixture, "every change to a missing name is refused", "[catalog]") {
  const auto code = [](const std::function<void()>& call) { return error_of(call).code(); };
  Database database;
  database.name = "nope";
  Repository repository;
  repository.name = "nope";
  Job job;
  job.name = "nope";
  Schedule schedule;
  schedule.name = "nope";
  CHECK(code([&] { catalog.update_database(database); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.set_password("nope", {}); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.password("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.remove_database("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.update_repository(repository); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.secret_options("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.remove_repository("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.update_job(job); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.remove_job("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.update_schedule(schedule); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.remove_schedule("nope"); }) == ErrorCode::not_found);
  CHECK(code([&] { catalog.set_handled("nope", clock.now()); }) == ErrorCode::not_found);
}

TEST_CASE_METHOD(CatalogFixture, "a name is taken only once", "[catalog]") {
  const Job job = add_job("nightly");
  add_schedule("s", ScheduleKind::job, "nightly");
  const auto taken = error_of([&] { add_database("shop"); });
  CHECK(taken.code() == ErrorCode::already_exists);
  CHECK(taken.message() == "database shop exists already");
  CHECK(error_of([&] { add_repository("main"); }).code() == ErrorCode::already_exists);
  CHECK(error_of([&] { catalog.add_job(job); }).code() == ErrorCode::already_exists);
  CHECK(error_of([&] { add_schedule("s", ScheduleKind::job, "nightly"); }).code() ==
        ErrorCode::already_exists);
}

TEST_CASE_METHOD(CatalogFixture, "names are checked", "[catalog]") {
  for (const std::string& good :
       {std::string("a"), std::string("0"), std::string("Shop-1_x.y"), std::string(128, 'n')}) {
    CHECK_NOTHROW(add_database(good));
  }
  for (const std::string& bad :
       {std::string(), std::string("-a"), std::string(".a"), std::string("_a"), std::string("a b"),
        std::string("a/b"), std::string("a\n"), std::string("a:b"), std::string("a@b"),
        std::string("\xc3\xa4"), std::string("a\0b", 3), std::string(129, 'n')}) {
    const util::Error error = error_of([&] { add_database(bad); });
    CHECK(error.code() == ErrorCode::usage);
    CHECK_THAT(error.hint(), Contains("begin with a letter or digit"));
  }
  CHECK(error_of([&] { add_repository("a b"); }).code() == ErrorCode::usage);
  CHECK(error_of([&] { add_job("a b"); }).code() == ErrorCode::usage);
  add_job("job");
  CHECK(error_of([&] { add_schedule("a b", ScheduleKind::job, "job"); }).code() ==
        ErrorCode::usage);
}

TEST_CASE_METHOD(CatalogFixture, "what a job uses cannot be removed", "[catalog]") {
  add_job("nightly");
  const util::Error one = error_of([&] { catalog.remove_database("shop"); });
  CHECK(one.code() == ErrorCode::conflict);
  CHECK(one.message() == "database shop is used by job nightly");
  add_job("hourly");
  CHECK(error_of([&] { catalog.remove_repository("main"); }).message() ==
        "repository main is used by jobs hourly, nightly");

  catalog.remove_job("nightly");
  catalog.remove_job("hourly");
  catalog.remove_database("shop");
  catalog.remove_repository("main");
  CHECK(catalog.databases().empty());
  CHECK(catalog.repositories().empty());
}

TEST_CASE_METHOD(CatalogFixture, "a repository keeps its secret options apart", "[catalog]") {
  const Options secrets{{"access_key", "AKIA"}, {"secret_key", "hush \"quoted\" \xe2\x98\x83"}};
  add_repository("plain");
  Repository cloud = add_repository("cloud", secrets);
  CHECK(catalog.secret_options("plain").empty());
  CHECK(catalog.secret_options("cloud") == secrets);

  cloud.url = "s3://bucket/new";
  cloud.options = {{"region", "eu"}};
  cloud.repository_id = "changed";
  catalog.update_repository(cloud);
  CHECK(catalog.repository("cloud").url == "s3://bucket/new");
  CHECK(catalog.repository("cloud").options == cloud.options);
  CHECK(catalog.repository("cloud").repository_id == "changed");
  CHECK(catalog.secret_options("cloud") == secrets);
}

TEST_CASE_METHOD(CatalogFixture, "removing a repository forgets what was in it", "[catalog]") {
  add_job("nightly");
  add_repository("old");
  add_schedule("check-old", ScheduleKind::check, "old");
  Artifact artifact = make_artifact("nightly", "2026-11-20");
  artifact.repository = "old";
  catalog.put_artifact(artifact);
  catalog.add_hold(artifact.id, "audit", {});
  REQUIRE(catalog.job_summaries().front().last_success_at);

  catalog.remove_repository("old");
  CHECK_FALSE(catalog.find_artifact(artifact.id));
  CHECK_FALSE(catalog.find_schedule("check-old"));
  CHECK(catalog.holds(artifact.id).empty());
  CHECK_FALSE(catalog.job_summaries().front().last_success_at);
}

TEST_CASE_METHOD(CatalogFixture, "a job comes back as it was added and updated", "[catalog]") {
  Job job = add_job("nightly");
  job.type = "differential";
  job.include = {"public.*", "caf\xc3\xa9 \"x\""};
  job.exclude = {"tmp_*", ""};
  job.where = {{"public.orders", "placed > '2026-01-01'"}};
  job.parallel = 3;
  job.keep = {1, 2, 3, 4, 5, 6, util::Milliseconds(7)};
  job.max_age = util::Milliseconds(8);
  job.retries = 9;
  job.retry_delay = util::Milliseconds(10);
  job.timeout = util::Milliseconds(11);
  job.pre_hook = "echo before";
  job.post_hook = "echo after";
  job.options = {{"k", "v"}};
  catalog.update_job(job);

  const Job found = catalog.job("nightly");
  CHECK(found.database == "shop");
  CHECK(found.repository == "main");
  CHECK(found.type == job.type);
  CHECK(found.include == job.include);
  CHECK(found.exclude == job.exclude);
  CHECK(found.where == job.where);
  CHECK(found.parallel == 3);
  CHECK(found.keep.last == 1);
  CHECK(found.keep.hourly == 2);
  CHECK(found.keep.daily == 3);
  CHECK(found.keep.weekly == 4);
  CHECK(found.keep.monthly == 5);
  CHECK(found.keep.yearly == 6);
  CHECK(found.keep.within == util::Milliseconds(7));
  CHECK(found.max_age == util::Milliseconds(8));
  CHECK(found.retries == 9);
  CHECK(found.retry_delay == util::Milliseconds(10));
  CHECK(found.timeout == util::Milliseconds(11));
  CHECK(found.pre_hook == "echo before");
  CHECK(found.post_hook == "echo after");
  CHECK(found.options == job.options);
  CHECK(found.created == job.created);
}

TEST_CASE_METHOD(CatalogFixture, "a job needs its database and repository", "[catalog]") {
  Job job = add_job("nightly");
  job.database = "shpo";
  CHECK(error_of([&] { catalog.update_job(job); }).hint() == "did you mean shop?");
  job.name = "other";
  CHECK(error_of([&] { catalog.add_job(job); }).message() == "there is no database shpo");
  job.database = "shop";
  job.repository = "mian";
  CHECK(error_of([&] { catalog.add_job(job); }).message() == "there is no repository mian");
  CHECK_FALSE(catalog.find_job("other"));
}

TEST_CASE_METHOD(CatalogFixture, "a schedule comes back and keeps what the timer noted",
                 "[catalog]") {
  add_job("nightly");
  Schedule schedule = add_schedule("at-two", ScheduleKind::drill, "nightly");
  const auto handled = time_of("2026-11-20T02:00:00Z");
  catalog.set_handled("at-two", handled);

  schedule.cron = "@hourly";
  schedule.timezone = "UTC";
  schedule.jitter = util::Milliseconds(5000);
  schedule.catch_up = false;
  schedule.queue_overlap = true;
  schedule.windows = {"22:00-06:00", "12:00-13:00"};
  schedule.paused = true;
  catalog.update_schedule(schedule);

  const Schedule found = catalog.schedule("at-two");
  CHECK(found.kind == ScheduleKind::drill);
  CHECK(found.target == "nightly");
  CHECK(found.cron == "@hourly");
  CHECK(found.timezone == "UTC");
  CHECK(found.jitter == util::Milliseconds(5000));
  CHECK_FALSE(found.catch_up);
  CHECK(found.queue_overlap);
  CHECK(found.windows == schedule.windows);
  CHECK(found.paused);
  CHECK(found.created == schedule.created);
  CHECK(found.handled_until == handled);
  CHECK_FALSE(found.last_run_at);
  CHECK(found.last_run.empty());

  schedule.handled_until = handled + util::Seconds(1);
  catalog.update_schedule(schedule);
  CHECK(catalog.schedule("at-two").handled_until == handled + util::Seconds(1));
  schedule.handled_until = handled;
  catalog.update_schedule(schedule);
  CHECK(catalog.schedule("at-two").handled_until == handled + util::Seconds(1));
  catalog.set_handled("at-two", handled);
  CHECK(catalog.schedule("at-two").handled_until == handled);
}

TEST_CASE_METHOD(CatalogFixture, "a schedule needs its target and goes with it", "[catalog]") {
  add_job("nightly");
  CHECK(error_of([&] { add_schedule("s", ScheduleKind::job, "nihgtly"); }).message() ==
        "there is no job nihgtly");
  CHECK(error_of([&] { add_schedule("s", ScheduleKind::prune, "nightly"); }).message() ==
        "there is no repository nightly");
  add_schedule("of-job", ScheduleKind::job, "nightly");
  add_schedule("of-drill", ScheduleKind::drill, "nightly");
  add_schedule("of-prune", ScheduleKind::prune, "main");
  catalog.remove_job("nightly");
  CHECK(names(catalog.schedules()) == Names{"of-prune"});
  catalog.remove_schedule("of-prune");
  CHECK(catalog.schedules().empty());
}

TEST_CASE_METHOD(CatalogFixture, "settings are kept and replaced", "[catalog]") {
  CHECK_FALSE(catalog.setting("daemon.id"));
  catalog.set_setting("daemon.id", "one");
  catalog.set_setting("daemon.id", "two");
  CHECK(catalog.setting("daemon.id") == "two");
}
