// Artifacts, the ways to name them, and holds.
#include "unit/catalog/catalog_fixture.hpp"

using namespace dbbackup;
using namespace dbbackup::catalog;
using namespace dbbackup::test;
using Catch::Contains;
using util::ErrorCode;

namespace {
std::vector<std::string> ids_of(const std::vector<Artifact>& artifacts) {
  std::vector<std::string> ids;
  for (const Artifact& artifact : artifacts) ids.push_back(artifact.id);
  return ids;
}
using Ids = std::vector<std::string>;

struct ArtifactFixture : CatalogFixture {
  ArtifactFixture() { add_repository("main"); }
};
}  // namespace

TEST_CASE_METHOD(ArtifactFixture, "an artifact comes back as it was put", "[catalog]") {
  Artifact artifact = make_artifact("nightly", "2026-11-20T01:02:03.004Z");
  artifact.name = "first";
  artifact.server_version = "3.40.1";
  artifact.type = "differential";
  artifact.base = "01base";
  artifact.consistency_kind = "snapshot";
  artifact.consistency_position = "0/16B3748";
  artifact.streams = 1;
  artifact.rows = 2;
  artifact.source_bytes = 3;
  artifact.added_bytes = 4;
  artifact.warnings = {"w"};
  artifact.skipped = {{"data/main.x", "no permission"}, {"data/main.y", "virtual table"}};
  artifact.state = ArtifactState::proved;
  artifact.proof_run = "01run";
  artifact.proved_at = time_of("2026-11-20T02:00:00Z");
  catalog.put_artifact(artifact);

  const Artifact found = catalog.artifact(artifact.id);
  CHECK(found.id == artifact.id);
  CHECK(found.name == "first");
  CHECK(found.job == "nightly");
  CHECK(found.database == "shop");
  CHECK(found.repository == "main");
  CHECK(found.engine == "sqlite");
  CHECK(found.server_version == "3.40.1");
  CHECK(found.type == "differential");
  CHECK(found.base == "01base");
  CHECK(found.state == ArtifactState::proved);
  CHECK(found.created_at == artifact.created_at);
  CHECK(found.started_at == artifact.started_at);
  CHECK(found.consistency_kind == "snapshot");
  CHECK(found.consistency_position == "0/16B3748");
  CHECK(found.streams == 1);
  CHECK(found.rows == 2);
  CHECK(found.source_bytes == 3);
  CHECK(found.added_bytes == 4);
  CHECK(found.warnings == artifact.warnings);
  CHECK(found.skipped == artifact.skipped);
  CHECK(found.proof_run == "01run");
  CHECK(found.proved_at == artifact.proved_at);
}

TEST_CASE_METHOD(ArtifactFixture, "an artifact needs its repository", "[catalog]") {
  Artifact artifact = make_artifact("", "2026-11-20");
  artifact.repository = "mian";
  const util::Error error = error_of([&] { catalog.put_artifact(artifact); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK(error.hint() == "did you mean main?");
}

TEST_CASE_METHOD(ArtifactFixture, "a rescan keeps state, proof and holds of a known artifact",
                 "[catalog]") {
  const Artifact artifact = add_artifact("nightly", "2026-11-20", 10);
  catalog.set_artifact_state(artifact.id, ArtifactState::proved, "01drill");
  catalog.add_hold(artifact.id, "audit", {});

  Artifact found_by_rescan = artifact;
  found_by_rescan.name = "renamed";
  found_by_rescan.added_bytes = 25;
  catalog.put_artifact(found_by_rescan);

  const Artifact known = catalog.artifact(artifact.id);
  CHECK(known.name == "renamed");
  CHECK(known.state == ArtifactState::proved);
  CHECK(known.proof_run == "01drill");
  CHECK(known.proved_at == clock.now());
  CHECK(catalog.holds(artifact.id).size() == 1);
  CHECK(catalog.repository_usage().front().artifacts == 1);
  CHECK(catalog.repository_usage().front().stored_bytes == 25);
}

TEST_CASE_METHOD(ArtifactFixture, "a newer proof and damage are taken over", "[catalog]") {
  Artifact artifact = add_artifact("nightly", "2026-11-20");
  artifact.state = ArtifactState::checked;
  catalog.put_artifact(artifact);
  CHECK(catalog.artifact(artifact.id).state == ArtifactState::checked);

  artifact.state = ArtifactState::proved;
  artifact.proof_run = "01second";
  artifact.proved_at = time_of("2026-11-20T10:00:00Z");
  catalog.put_artifact(artifact);
  CHECK(catalog.artifact(artifact.id).proof_run == "01second");

  Artifact older = artifact;
  older.proof_run = "01first";
  older.proved_at = time_of("2026-11-20T09:00:00Z");
  catalog.put_artifact(older);
  CHECK(catalog.artifact(artifact.id).proof_run == "01second");

  artifact.state = ArtifactState::damaged;
  artifact.proof_run.clear();
  artifact.proved_at.reset();
  catalog.put_artifact(artifact);
  const Artifact damaged = catalog.artifact(artifact.id);
  CHECK(damaged.state == ArtifactState::damaged);
  CHECK(damaged.proof_run == "01second");
  CHECK(damaged.proved_at == time_of("2026-11-20T10:00:00Z"));
}

TEST_CASE_METHOD(ArtifactFixture, "the state of an artifact goes forward", "[catalog]") {
  const Artifact artifact = add_artifact("", "2026-11-20");
  catalog.set_artifact_state(artifact.id, ArtifactState::checked);
  CHECK(catalog.artifact(artifact.id).state == ArtifactState::checked);
  catalog.set_artifact_state(artifact.id, ArtifactState::proved, "01drill");
  CHECK(catalog.artifact(artifact.id).proof_run == "01drill");
  CHECK(catalog.artifact(artifact.id).proved_at == clock.now());
  catalog.set_artifact_state(artifact.id, ArtifactState::checked);
  CHECK(catalog.artifact(artifact.id).state == ArtifactState::proved);
  catalog.set_artifact_state(artifact.id, ArtifactState::damaged);
  CHECK(catalog.artifact(artifact.id).state == ArtifactState::damaged);
  CHECK(error_of([&] { catalog.set_artifact_state("01nope", ArtifactState::checked); }).code() ==
        ErrorCode::not_found);
}

TEST_CASE_METHOD(ArtifactFixture, "artifacts are listed newest first, filtered and limited",
                 "[catalog]") {
  add_repository("other");
  const Artifact middle = add_artifact("a", "2026-11-19");
  const Artifact oldest = add_artifact("b", "2026-11-18");
  const Artifact newest = add_artifact("a", "2026-11-20");
  Artifact elsewhere = make_artifact("a", "2026-11-17");
  elsewhere.repository = "other";
  elsewhere.database = "crm";
  catalog.put_artifact(elsewhere);

  CHECK(ids_of(catalog.artifacts({})) == Ids{newest.id, middle.id, oldest.id, elsewhere.id});
  CHECK(ids_of(catalog.artifacts({.limit = 1})) == Ids{newest.id});
  CHECK(ids_of(catalog.artifacts({.database = "shop", .job = "a"})) == Ids{newest.id, middle.id});
  CHECK(ids_of(catalog.artifacts({.repository = "other"})) == Ids{elsewhere.id});
  CHECK(ids_of(catalog.artifacts({.database = "crm"})) == Ids{elsewhere.id});
  CHECK_FALSE(catalog.find_artifact("01nope"));
}

TEST_CASE_METHOD(ArtifactFixture, "an artifact is named by id, prefix and latest", "[catalog]") {
  const Artifact morning = add_artifact("a", "2026-11-19T06:00:00Z");
  clock.advance(util::Milliseconds(1));  // so that the ids differ after their 10 characters of time
  const Artifact other = add_artifact("b", "2026-11-19T12:00:00Z");
  const Artifact evening = add_artifact("a", "2026-11-19T18:00:00Z");
  const auto named = [&](const std::string& reference) { return catalog.artifact(reference).id; };

  CHECK(named(morning.id) == morning.id);
  CHECK(named(morning.id.substr(0, 10)) == morning.id);
  CHECK(named("latest") == evening.id);
  CHECK(named("latest:a") == evening.id);
  CHECK(named("latest:b") == other.id);
  CHECK(named("latest@2026-11-19T12:00:00Z") == other.id);
  CHECK(named("latest@2026-11-19T11:59:59.999Z") == morning.id);
  CHECK(named("latest@2026-11-19 19:00:00+01:00") == evening.id);
  CHECK(named("latest:a@2026-11-19T17:59:59Z") == morning.id);
  CHECK(named("latest:a@2026-11-20") == evening.id);

  const util::Error several = error_of([&] { catalog.artifact(morning.id.substr(0, 9)); });
  CHECK(several.code() == ErrorCode::usage);
  CHECK_THAT(several.message(), Contains(morning.id));
  CHECK(error_of([&] { catalog.artifact("lat"); }).code() == ErrorCode::usage);
  CHECK(error_of([&] { catalog.artifact("01nosuch0"); }).code() == ErrorCode::not_found);
}

TEST_CASE_METHOD(ArtifactFixture, "of two artifacts of one instant the later made is latest",
                 "[catalog]") {
  add_artifact("a", "2026-11-19");
  const Artifact second = add_artifact("a", "2026-11-19");
  CHECK(catalog.artifact("latest").id == second.id);
}

TEST_CASE_METHOD(ArtifactFixture, "a malformed reference says what to write", "[catalog]") {
  for (const char* reference : {"latest:", "latest:@2026-11-19", "latest@", "latest@yesterday",
                                "latest:a@", "latestest", "latest-a"}) {
    const util::Error error = error_of([&] { catalog.artifact(reference); });
    CHECK(error.code() == ErrorCode::usage);
    CHECK_THAT(error.hint(), Contains("latest:JOB@TIME"));
  }
}

TEST_CASE_METHOD(ArtifactFixture, "a reference to nothing says what there is", "[catalog]") {
  const util::Error none = error_of([&] { catalog.artifact("latest"); });
  CHECK(none.code() == ErrorCode::not_found);
  CHECK(none.message() == "there are no artifacts yet");
  CHECK_THAT(none.hint(), Contains("dbbackupctl backup"));

  add_job("nightly");
  add_job("weekly");
  add_artifact("nightly", "2026-11-19T06:00:00Z");
  add_artifact("gone-job", "2026-11-19T05:00:00Z");
  CHECK(error_of([&] { catalog.artifact("latest:weekly"); }).message() ==
        "job weekly has no artifacts yet");
  CHECK(error_of([&] { catalog.artifact("latest:nigthly"); }).hint() == "did you mean nightly?");
  CHECK(error_of([&] { catalog.artifact("latest:gone-jb"); }).hint() == "did you mean gone-job?");
  CHECK_THAT(error_of([&] { catalog.artifact("latest:zzzzzzzzz"); }).hint(), Contains("job list"));
  const util::Error early = error_of([&] { catalog.artifact("latest:nightly@2026-11-19"); });
  CHECK(early.code() == ErrorCode::not_found);
  CHECK(early.message() == "no artifact of job nightly was sealed by 2026-11-19T00:00:00.000Z");
  CHECK(early.hint() == "the oldest one is from 2026-11-19T06:00:00.000Z");
  CHECK_THAT(error_of([&] { catalog.artifact("latest@2000-01-01"); }).hint(),
             Contains("2026-11-19T05:00:00.000Z"));
}

TEST_CASE_METHOD(ArtifactFixture, "a hold protects until it is released or over", "[catalog]") {
  const Artifact artifact = add_artifact("", "2026-11-19");
  const auto until = clock.now() + std::chrono::hours(1);
  const Hold timed = catalog.add_hold(artifact.id, "migration\n\xe2\x98\x83", until);
  CHECK(util::is_ulid(timed.id));
  CHECK(timed.created == clock.now());
  REQUIRE(catalog.holds(artifact.id).size() == 1);
  CHECK(catalog.holds(artifact.id).front().reason == "migration\n\xe2\x98\x83");
  CHECK(catalog.holds(artifact.id).front().until == until);

  const util::Error held = error_of([&] { catalog.remove_artifact(artifact.id); });
  CHECK(held.code() == ErrorCode::refused);
  CHECK_THAT(held.message(), Contains("is held: migration\\x0a"));
  CHECK_THAT(held.hint(), Contains("release"));

  clock.advance(std::chrono::minutes(59));
  CHECK(catalog.holds(artifact.id).size() == 1);
  clock.advance(std::chrono::minutes(1));
  CHECK(catalog.holds(artifact.id).empty());
  CHECK(catalog.release(artifact.id) == 0);

  catalog.add_hold(artifact.id, "", {});
  catalog.add_hold(artifact.id, "b", {});
  CHECK(error_of([&] { catalog.remove_artifact(artifact.id); }).message() ==
        "artifact " + artifact.id + " is held");
  CHECK(catalog.release(artifact.id) == 2);
  catalog.remove_artifact(artifact.id);
  CHECK_FALSE(catalog.find_artifact(artifact.id));
  CHECK(error_of([&] { catalog.remove_artifact(artifact.id); }).code() == ErrorCode::not_found);
}

TEST_CASE_METHOD(ArtifactFixture, "a hold needs an artifact and a time to come", "[catalog]") {
  const Artifact artifact = add_artifact("", "2026-11-19");
  CHECK(error_of([&] { catalog.add_hold("01nope", "", {}); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { catalog.release("01nope"); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { catalog.add_hold(artifact.id, "", clock.now()); }).code() ==
        ErrorCode::usage);
  CHECK(catalog.holds("01nope").empty());
}
