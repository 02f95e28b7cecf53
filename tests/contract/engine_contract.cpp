#include "contract/engine_contract.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>

#include "support/memory_artifact.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::test {

namespace {
using engine::Engine;
using engine::RestoreMode;
using engine::RestoreRequest;
using engine::Scope;
using util::ErrorCode;
using Proofs = std::vector<repository::TableProof>;

template <typename Work>
std::optional<util::Error> error_of(Work&& work) {
  try {
    work();
  } catch (const util::Error& error) {
    return error;
  }
  return std::nullopt;
}

void back_up(Engine& engine, const Scope& scope, MemoryArtifact& artifact) {
  util::QuietTask quiet;
  MemoryArtifactWriter writer(artifact);
  artifact.summary = engine.back_up(scope, writer, quiet.task());
}

engine::RestoreResult restore(Engine& engine, const MemoryArtifact& artifact,
                              const RestoreRequest& request = {}) {
  util::QuietTask quiet;
  MemoryArtifactReader reader(artifact);
  return engine.restore(reader, request, quiet.task());
}

Proofs fingerprint(Engine& engine, const Scope& scope = {}) {
  util::QuietTask quiet;
  return engine.fingerprint(scope, quiet.task());
}

Proofs sorted(Proofs proofs) {
  std::sort(proofs.begin(), proofs.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  return proofs;
}

void fill(EngineFixture& fixture, const std::string& name) {
  fixture.execute(name, "CREATE TABLE customers(id INTEGER PRIMARY KEY, name VARCHAR(100))");
  fixture.execute(name, "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER)");
  fixture.execute(name, "CREATE TABLE hollow(id INTEGER PRIMARY KEY)");
  for (int i = 0; i < 20; ++i) {
    fixture.execute(name, util::cat("INSERT INTO customers VALUES (", i, ", 'customer ", i, "')"));
    fixture.execute(name, util::cat("INSERT INTO orders VALUES (", i, ", ", i % 7, ")"));
  }
}
}  // namespace

void check_engine_contract(EngineFixture& fixture) {
  SECTION("a whole database comes back with the proof that was sealed") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    MemoryArtifact artifact;
    back_up(*source, {}, artifact);
    CHECK_FALSE(artifact.summary.server_version.empty());
    CHECK(artifact.summary.consistency_kind == "snapshot");
    const auto target = fixture.new_target("target");
    const auto result = restore(*target, artifact);
    CHECK(sorted(result.fingerprint) == sorted(artifact.summary.proof));
    CHECK(sorted(fingerprint(*target)) == sorted(artifact.summary.proof));
  }
  SECTION("backing up twice gives the same bytes") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    MemoryArtifact first;
    MemoryArtifact second;
    back_up(*source, {}, first);
    back_up(*source, {}, second);
    REQUIRE(first.streams.size() == second.streams.size());
    for (const auto& [name, stream] : first.streams) {
      CHECK(stream->content == second.stream(name).content);
    }
  }
  SECTION("an empty database is a database") {
    const auto source = fixture.empty_database("source");
    MemoryArtifact artifact;
    back_up(*source, {}, artifact);
    const auto target = fixture.new_target("target");
    CHECK(restore(*target, artifact).fingerprint == artifact.summary.proof);
  }
  SECTION("chosen tables come back alone") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    Scope scope;
    scope.include = {"cust*", "hollow"};
    MemoryArtifact artifact;
    back_up(*source, scope, artifact);
    REQUIRE(artifact.summary.proof.size() == 2);
    const auto target = fixture.new_target("target");
    CHECK(sorted(restore(*target, artifact).fingerprint) == sorted(artifact.summary.proof));
    util::QuietTask quiet;
    CHECK(target->inventory({}, quiet.task()).size() == 2);
    CHECK(sorted(fingerprint(*source, scope)) == sorted(artifact.summary.proof));
  }
  SECTION("a pattern that matches nothing is an error with a suggestion") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    Scope scope;
    scope.include = {"custmers"};
    MemoryArtifact artifact;
    const auto error = error_of([&] { back_up(*source, scope, artifact); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::not_found);
    CHECK(error->hint().find("customers") != std::string::npos);
  }
  SECTION("odd names survive") {
    const auto source = fixture.empty_database("source");
    for (const std::string name : {"two words", "quo\"te", "apo'strophe", "new\nline", "Ünïcödé ☃",
                                   "per%cent", "a\\b", "t\ta`b"}) {
      fixture.execute("source", util::cat("CREATE TABLE ", fixture.quote(name), "(",
                                          fixture.quote(name + " column"), " INTEGER)"));
      fixture.execute("source", util::cat("INSERT INTO ", fixture.quote(name), " VALUES (7)"));
    }
    for (const bool whole : {true, false}) {
      Scope scope;
      if (!whole) scope.include = {"*"};
      MemoryArtifact artifact;
      back_up(*source, scope, artifact);
      const auto target = fixture.new_target(whole ? "whole" : "part");
      CHECK(sorted(restore(*target, artifact).fingerprint) == sorted(artifact.summary.proof));
    }
  }
  SECTION("a database that is not there is not found, and the probe says so without throwing") {
    const auto missing = fixture.missing_database();
    MemoryArtifact artifact;
    const auto error = error_of([&] { back_up(*missing, {}, artifact); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::not_found);
    util::QuietTask quiet;
    CHECK_FALSE(missing->probe(quiet.task()).ok());
  }
  SECTION("a cancelled backup and a cancelled restore say so") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    util::QuietTask quiet;
    MemoryArtifact artifact;
    MemoryArtifactWriter writer(artifact,
                                [&](const std::string&) { quiet.stop_source().request_stop(); });
    const auto error = error_of([&] { source->back_up({}, writer, quiet.task()); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::cancelled);

    MemoryArtifact whole;
    back_up(*source, {}, whole);
    MemoryArtifactReader reader(whole);
    const auto target = fixture.new_target("target");
    const auto late = error_of([&] { target->restore(reader, {}, quiet.task()); });
    REQUIRE(late);
    CHECK(late->code() == ErrorCode::cancelled);
  }
  SECTION("a target that is not empty is refused, replaced or appended to as asked") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    MemoryArtifact artifact;
    back_up(*source, {}, artifact);
    const auto target = fixture.empty_database("target");
    fixture.execute("target", "CREATE TABLE other(id INTEGER)");
    const auto refused = error_of([&] { restore(*target, artifact); });
    REQUIRE(refused);
    CHECK(refused->code() == ErrorCode::refused);

    RestoreRequest append;
    append.mode = RestoreMode::append;
    restore(*target, artifact, append);
    const auto conflict = error_of([&] { restore(*target, artifact, append); });
    REQUIRE(conflict);
    CHECK(conflict->code() == ErrorCode::conflict);
    CHECK(conflict->message().find("customers") != std::string::npos);

    RestoreRequest replace;
    replace.mode = RestoreMode::replace;
    CHECK(sorted(restore(*target, artifact, replace).fingerprint) ==
          sorted(artifact.summary.proof));
  }
  SECTION("a plan changes nothing") {
    const auto source = fixture.empty_database("source");
    fill(fixture, "source");
    MemoryArtifact artifact;
    back_up(*source, {}, artifact);
    const auto target = fixture.empty_database("target");
    util::QuietTask quiet;
    MemoryArtifactReader reader(artifact);
    const auto plan = target->plan_restore(reader, {}, quiet.task());
    CHECK_FALSE(plan.steps.empty());
    CHECK(plan.tables.size() == 3);
    CHECK(plan.target_empty);
    CHECK(target->inventory({}, quiet.task()).empty());
  }
}

}  // namespace dbbackup::test
