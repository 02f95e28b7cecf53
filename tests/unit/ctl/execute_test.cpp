// Whole command lines against a daemon that the test plays.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ctl/follow.hpp"
#include "unit/ctl/support.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using test::contains;
using test::Stage;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::string_view kRun = "01jd8xaaaaaaaaaaaaaaaaaaaa";

json::Object run_in_state(std::string_view state) {
  return {{"id", kRun},
          {"kind", "backup"},
          {"database", "shop"},
          {"state", state},
          {"duration_seconds", 12.0},
          {"progress", json::Object{{"streams_done", 3}, {"rows", 1204}, {"bytes", 2048}}},
          {"warnings", json::Array{}}};
}

// Starts every run, and ends it as `end`.
Stage::Reply runs_ending_as(json::Object end) {
  return [end = std::move(end)](const std::string& method, const json::Object&) -> json::Value {
    return json::Object{{"run", method == "run.wait" ? end : run_in_state("queued")}};
  };
}

json::Object failed_run(std::string_view code) {
  json::Object run = run_in_state("failed");
  run["error"] = json::Object{{"code", code}, {"message", "disk is full"}, {"hint", "free some"}};
  return run;
}

Stage::Reply answering(json::Value reply) {
  return [reply = std::move(reply)](const std::string&, const json::Object&) { return reply; };
}

}  // namespace

TEST_CASE("ctl: a run's id is printed at once, and the run with -o json") {
  Stage stage(runs_ending_as(run_in_state("succeeded")));
  CHECK(stage.run({"backup", "shop", "--type", "full"}) == 0);
  CHECK(stage.out.str() == std::string(kRun) + "\n");
  CHECK(contains(stage.err.str(), "dbbackupctl run wait 01jd8x"));
  REQUIRE(stage.calls.size() == 1);
  CHECK(stage.calls[0].first == "backup.start");
  CHECK(json::write(stage.calls[0].second) == R"({"database":"shop","type":"full"})");

  Stage script(runs_ending_as(run_in_state("succeeded")));
  CHECK(script.run({"backup", "shop", "-o", "json"}) == 0);
  CHECK(json::get_string(*json::get_object(json::parse(script.out.str()).get_object(), "run"),
                         "state") == "queued");
  CHECK(script.err.str().empty());
}

TEST_CASE("ctl: --wait exits with the run's result") {
  Stage stage(runs_ending_as(run_in_state("succeeded")));
  CHECK(stage.run({"backup", "shop", "--wait"}) == 0);
  REQUIRE(stage.calls.size() == 2);
  CHECK(stage.calls[1].first == "run.wait");
  CHECK(json::write(stage.calls[1].second) ==
        R"({"run":"01jd8xaaaaaaaaaaaaaaaaaaaa","follow":false})");
  CHECK(contains(stage.out.str(), "backup of shop succeeded in 12 s, 3 streams, 1,204 rows"));

  Stage failing(runs_ending_as(failed_run("verification_failed")));
  CHECK(failing.run({"artifact", "drill", "latest", "--wait"}) == 7);
  CHECK(contains(failing.err.str(), "dbbackupctl: disk is full (verification_failed)\nhint: free"));
}

TEST_CASE("ctl: every end of a run has its exit status") {
  CHECK(exit_status_of_run(run_in_state("succeeded")) == 0);
  CHECK(exit_status_of_run(run_in_state("partial")) == 3);
  CHECK(exit_status_of_run(run_in_state("cancelled")) == 130);
  CHECK(exit_status_of_run(run_in_state("skipped")) == 6);
  CHECK(exit_status_of_run(run_in_state("running")) == 5);
  CHECK(exit_status_of_run(run_in_state("interrupted")) == 1);
  CHECK(exit_status_of_run(failed_run("no_space")) == 1);
  CHECK(exit_status_of_run(failed_run("timed_out")) == 5);
  CHECK(exit_status_of_run(failed_run("refused")) == 6);
  CHECK(exit_status_of_run(failed_run("some code of tomorrow")) == 1);
  // These would say that the command line was wrong, or named something unknown.
  for (const char* code : {"usage", "not_found", "config_invalid", "not_authorised",
                           "daemon_unreachable", "source_damaged"}) {
    CHECK(exit_status_of_run(failed_run(code)) == 1);
  }
}

TEST_CASE("ctl: every error of the daemon has its exit status") {
  for (const util::ErrorTraits& entry : util::all_error_traits()) {
    Stage stage([&](const std::string&, const json::Object&) -> json::Value {
      throw Error(entry.code, "it is so", "do this");
    });
    CHECK(stage.run({"database", "list"}) == entry.exit_status);
    CHECK(stage.err.str() ==
          util::cat("dbbackupctl: it is so (", entry.name, ")\nhint: do this\n"));
  }
}

TEST_CASE("ctl: parameters are checked before the daemon is asked") {
  Stage stage(answering(json::Object{}));
  CHECK(stage.run({"artifact", "list", "--limit", "many"}) == 64);
  CHECK(stage.run({"job", "add", "n", "--database", "d", "--timeout", "soon"}) == 64);
  CHECK(stage.run({"database", "add", "x", "postgresql://me:secret@h/d"}) == 64);
  CHECK(stage.calls.empty());
  CHECK_FALSE(contains(stage.err.str(), "secret"));
  CHECK(stage.run({"artifact", "list", "--limit", "3"}) == 0);
  CHECK(json::write(stage.calls.back().second) == R"({"limit":3})");
}

TEST_CASE("ctl: the first Ctrl-C detaches and the run goes on") {
  Stage stage(runs_ending_as(run_in_state("succeeded")));
  stage.during_call = [&](const std::string& method, const auto&, const auto& keep_waiting) {
    if (method != "run.wait") return false;
    CHECK(keep_waiting());
    stage.interrupts = 1;
    return !keep_waiting();
  };
  CHECK(stage.run({"backup", "shop", "--follow"}) == 130);
  CHECK(contains(stage.err.str(), "detached; the run goes on: dbbackupctl run wait 01jd8x"));
  CHECK(stage.calls.back().first == "run.wait");
}

TEST_CASE("ctl: on a terminal a second Ctrl-C cancels the run and its end is awaited") {
  Stage stage(runs_ending_as(run_in_state("cancelled")));
  stage.terminal.error = true;
  stage.during_call = [&](const std::string& method, const auto&, const auto& keep_waiting) {
    if (method != "run.wait" || stage.interrupts >= 2) return false;
    stage.interrupts = 1;
    CHECK(keep_waiting());  // time for a second thought
    stage.interrupts = 2;
    return !keep_waiting();
  };
  CHECK(stage.run({"backup", "shop", "--wait"}) == 130);
  REQUIRE(stage.calls.size() == 4);
  CHECK(stage.calls[2].first == "run.cancel");
  CHECK(json::write(stage.calls[2].second) == R"({"run":"01jd8xaaaaaaaaaaaaaaaaaaaa"})");
  CHECK(stage.calls[3].first == "run.wait");
  CHECK(contains(stage.out.str(), "cancelled"));
}

TEST_CASE("ctl: the second thought ends after two seconds") {
  Stage stage(runs_ending_as(run_in_state("succeeded")));
  stage.terminal.error = true;
  stage.during_call = [&](const std::string& method, const auto&, const auto& keep_waiting) {
    if (method != "run.wait") return false;
    stage.interrupts = 1;
    CHECK(keep_waiting());
    stage.clock.advance(util::Milliseconds(2100));
    return !keep_waiting();
  };
  CHECK(stage.run({"run", "wait", "01jd8x"}) == 130);
  CHECK(contains(stage.err.str(), "detached"));
}

TEST_CASE("ctl: following with -o jsonl streams objects, the run last") {
  Stage stage(runs_ending_as(run_in_state("succeeded")));
  stage.during_call = [&](const std::string& method, const auto& notified, const auto&) {
    if (method != "run.wait") return false;
    notified("run.progress", {{"run", kRun}, {"state", "running"}});
    notified("run.log", {{"run", kRun}, {"line", "hello"}});
    return false;
  };
  CHECK(stage.run({"backup", "shop", "--follow", "-o", "jsonl"}) == 0);
  const std::vector<std::string> lines = util::split(stage.out.str(), '\n');
  REQUIRE(lines.size() == 4);
  CHECK(json::get_string(json::parse(lines[0]).get_object(), "message_type") == "progress");
  CHECK(json::get_string(json::parse(lines[1]).get_object(), "message_type") == "log");
  CHECK(json::get_string(json::parse(lines[2]).get_object(), "message_type") == "run");
  CHECK(lines[3].empty());
}

TEST_CASE("ctl: a removal asks on a terminal and needs --yes elsewhere") {
  for (const char* noun : {"database", "repository", "artifact"}) {
    Stage nobody(answering(json::Object{{"removed", "x"}}));
    CHECK(nobody.run({noun, "remove", "latest"}) == 6);
    CHECK(contains(nobody.err.str(), "hint: add --yes"));
    CHECK(nobody.calls.empty());
    CHECK(nobody.run({noun, "remove", "latest", "--yes"}) == 0);

    Stage person(answering(json::Object{{"removed", "x"}}));
    person.terminal.input = true;
    person.answers = {"", "Y"};
    CHECK(person.run({noun, "remove", "latest"}) == 6);
    CHECK(person.calls.empty());
    CHECK(person.run({noun, "remove", "latest"}) == 0);
    CHECK(contains(person.questions[0], "remove latest? [y/N]"));
    CHECK(person.calls.size() == 1);
  }
}

TEST_CASE("ctl: replacing a target asks for its name and tells the daemon") {
  const std::vector<std::string> words{"restore", "latest", "--to", "shop2", "--mode", "replace"};
  Stage person(runs_ending_as(run_in_state("succeeded")));
  person.terminal.input = true;
  person.answers = {"shop", "shop2"};
  CHECK(person.run(words) == 6);
  CHECK(person.calls.empty());
  CHECK(person.run(words) == 0);
  CHECK(json::get_bool(person.calls.back().second, "yes") == true);

  Stage nobody(runs_ending_as(run_in_state("succeeded")));
  CHECK(nobody.run(words) == 6);
  CHECK(nobody.calls.empty());
  // Without mode replace nothing is lost, and nothing is asked.
  CHECK(nobody.run({"restore", "latest", "--to", "shop2"}) == 0);
  CHECK_FALSE(nobody.calls.back().second.contains("yes"));
}

TEST_CASE("ctl: --plan asks for the plan and starts nothing") {
  Stage stage(answering(json::parse(
      R"({"schema_version":1,"plan":{"target":"shop2","mode":"replace","artifact":"01jd8x",)"
      R"("steps":["drop everything","write 3 tables"],"tables":["a",{"name":"b","rows":3}]}})")));
  CHECK(stage.run({"restore", "latest", "--to", "shop2", "--mode", "replace", "--plan"}) == 0);
  REQUIRE(stage.calls.size() == 1);
  CHECK(stage.calls[0].first == "restore.plan");
  CHECK(contains(stage.out.str(), "Tables:    a, b\n1. drop everything\n2. write 3 tables\n"));
}

TEST_CASE("ctl: secrets come from where they are said to be and travel on the socket") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "ctl-secrets");
  const std::string file = folder.path() / "db_pw";
  util::write_file_atomically(file, util::as_bytes("sesame file\n"));
  const auto sent = [&](const std::vector<std::string>& options, const auto& prepare) {
    Stage stage(answering(json::parse(R"({"database":{"name":"crm"}})")));
    prepare(stage);
    std::vector<std::string> words{"database", "set-password", "crm"};
    words.insert(words.end(), options.begin(), options.end());
    const int status = stage.run(words);
    CHECK_FALSE(contains(stage.out.str() + stage.err.str(), "sesame "));
    return status == 0 ? json::get_string(stage.calls.back().second, "password").value_or("none")
                       : std::to_string(status);
  };
  CHECK(sent({"--password-stdin"}, [](Stage& stage) { stage.input.str("sesame stdin\nmore\n"); }) ==
        "sesame stdin");
  CHECK(sent({"--password-file", file}, [](Stage&) {}) == "sesame file");
  CHECK(sent({"--password-env", "PW"},
             [](Stage& stage) { stage.variables["PW"] = "sesame env"; }) == "sesame env");
  CHECK(sent({"--password-credential", "db_pw"}, [&](Stage& stage) {
          stage.variables["CREDENTIALS_DIRECTORY"] = folder.path();
        }) == "sesame file");
  const auto person = [](std::vector<std::string> answers) {
    return [answers = std::move(answers)](Stage& stage) {
      stage.terminal.input = true;
      stage.answers = answers;
    };
  };
  CHECK(sent({}, person({"sesame prompt", "sesame prompt"})) == "sesame prompt");
  CHECK(sent({"--password-prompt"}, person({"a", "a"})) == "a");

  CHECK(sent({}, person({"one", "two"})) == "64");
  CHECK(sent({}, person({})) == "130");
  CHECK(sent({}, [](Stage&) {}) == "64");                    // nobody to ask
  CHECK(sent({"--password-stdin"}, [](Stage&) {}) == "64");  // empty
  CHECK(sent({"--password-file", "/no/such/file"}, [](Stage&) {}) == "2");
  CHECK(sent({"--password-env", "UNSET"}, [](Stage&) {}) == "64");
  CHECK(sent({"--password-credential", "x"}, [](Stage&) {}) == "2");
  CHECK(sent({"--password-credential", "../x"}, [&](Stage& stage) {
          stage.variables["CREDENTIALS_DIRECTORY"] = folder.path();
        }) == "64");
}

TEST_CASE("ctl: an optional secret is not asked for") {
  Stage stage(answering(json::parse(R"({"database":{"name":"shop"}})")));
  stage.terminal.input = true;
  CHECK(stage.run({"database", "add", "shop", "sqlite:///x.db"}) == 0);
  CHECK(stage.questions.empty());
  CHECK_FALSE(stage.calls[0].second.contains("password"));
  CHECK(stage.out.str() == "database shop added\n");
  CHECK(contains(stage.err.str(), "next: dbbackupctl database test shop"));
}

TEST_CASE("ctl: a recovery key goes into a new private file") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "ctl-key");
  const std::string file = folder.path() / "key";
  Stage stage(answering(json::parse(R"({"recovery_key":"abcd-efgh"})")));
  CHECK(stage.run({"repository", "key", "export", "default"}) == 0);
  CHECK(stage.out.str() == "abcd-efgh\n");
  stage.out.str("");
  CHECK(stage.run({"repository", "key", "export", "default", "--file", file}) == 0);
  CHECK(stage.out.str().empty());
  CHECK(util::as_text(*util::read_file(file)) == "abcd-efgh\n");
  CHECK(std::filesystem::status(file).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK(stage.run({"repository", "key", "export", "default", "--file", file}) == 6);
  CHECK_FALSE(stage.calls.back().second.contains("file"));
}

TEST_CASE("ctl: events and logs are streamed until Ctrl-C") {
  Stage stage(answering(json::Object{}));
  stage.during_call = [&](const std::string&, const auto& notified, const auto& keep_waiting) {
    notified("event", {{"at", "2026-11-21T12:00:00Z"},
                       {"user", "root"},
                       {"action", "job.add"},
                       {"object", "a\nb"},
                       {"outcome", "ok"}});
    CHECK(keep_waiting());
    stage.interrupts = 1;
    return !keep_waiting();
  };
  CHECK(stage.run({"events", "--follow"}) == 130);
  CHECK(stage.out.str() == "2026-11-21 12:00:00 UTC  root  job.add  a\\x0ab  ok\n");

  Stage log(answering(json::parse(R"({"lines":[]})")));
  log.during_call = [&](const std::string&, const auto& notified, const auto&) {
    notified("run.log", {{"at", "2026-11-21T12:00:00Z"}, {"severity", "info"}, {"line", "x"}});
    return false;
  };
  CHECK(log.run({"run", "log", "01jd8x", "--follow"}) == 0);
  CHECK(log.out.str() == "2026-11-21 12:00:00 UTC  info  x\n");
}

TEST_CASE("ctl: a database test that found something is no success") {
  Stage stage(answering(
      json::parse(R"({"test":{"ok":false,"engine":"sqlite","checks":[{"name":"open","ok":false,)"
                  R"("detail":"no such file","hint":"check the path"}]}})")));
  CHECK(stage.run({"database", "test", "shop"}) == 1);
  CHECK(contains(stage.out.str(), "open   failed  no such file"));
  CHECK(contains(stage.err.str(), "hint: open: check the path"));
}

TEST_CASE("ctl: the socket is chosen by option, environment, then place") {
  std::map<std::string, std::string> variables;
  const Environment environment = [&](const char* name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  };
  bool system_socket = false;
  const auto exists = [&](const std::string&) { return system_socket; };
  CHECK(choose_socket(std::nullopt, environment, exists) == "/run/dbbackupd.sock");
  variables["XDG_RUNTIME_DIR"] = "/run/user/7";
  CHECK(choose_socket(std::nullopt, environment, exists) == "/run/user/7/dbbackupd.sock");
  system_socket = true;
  CHECK(choose_socket(std::nullopt, environment, exists) == "/run/dbbackupd.sock");
  variables["DBBACKUP_SOCKET"] = "/e";
  CHECK(choose_socket(std::nullopt, environment, exists) == "/e");
  CHECK(choose_socket("/o", environment, exists) == "/o");
}

}  // namespace dbbackup::ctl
