#include "ctl/completion.hpp"

#include <catch2/catch.hpp>

#include "support/manual_clock.hpp"
#include "util/error.hpp"

namespace dbbackup::ctl {

namespace json = util::json;

namespace {

std::vector<std::string> asked;

std::vector<Candidate> known_names(const std::string& kind) {
  asked.push_back(kind);
  return {{kind + "-one"}, {kind + "-two"}};
}

std::vector<std::string> texts(const std::vector<std::string>& words) {
  std::vector<std::string> found;
  for (const Candidate& candidate : complete(words, known_names)) found.push_back(candidate.text);
  return found;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("ctl: completion knows nouns and verbs") {
  CHECK(texts({"da"}) == Texts{"database", "daemon"});
  CHECK(texts({"repository", "ke"}) == Texts{"key"});
  CHECK(texts({"repository", "key", ""}) == Texts{"export", "list", "add-passphrase", "remove"});
  CHECK(texts({"-o", "json", "schedule", "ex"}) == Texts{"explain"});
  CHECK(texts({"help", "jo"}) == Texts{"job"});
  CHECK(texts({"nonsense", "x"}).empty());
  CHECK(complete({"backu"}, known_names).front().description ==
        "back up a database now, without a job");
}

TEST_CASE("ctl: completion asks for names of the right kind") {
  CHECK(texts({"backup", ""}) == Texts{"database-one", "database-two"});
  CHECK(texts({"job", "show", "job-t"}) == Texts{"job-two"});
  CHECK(texts({"job", "add", "new", "--database", ""}) == Texts{"database-one", "database-two"});
  CHECK(texts({"job", "add", "new", "--database=database-o"}) == Texts{"--database=database-one"});
  CHECK(texts({"artifact", "diff", "x", "artifact-o"}) == Texts{"artifact-one"});
  CHECK(texts({"job", "show", "a", ""}).empty());  // one name is enough
  asked.clear();
  CHECK(texts({"database", "add", ""}).empty());  // a new name is nobody's yet
  CHECK(asked.empty());
}

TEST_CASE("ctl: completion knows options, their values and what was used") {
  CHECK(texts({"job", "add", "n", "--keep-l"}) == Texts{"--keep-last"});
  CHECK(texts({"job", "add", "n", "--keep-last", "7", "--keep-l"}).empty());
  CHECK(texts({"job", "add", "n", "--include", "a", "--inc"}) == Texts{"--include"});
  CHECK(texts({"job", "add", "n", "--type", ""}) == Texts{"full", "differential"});
  CHECK(texts({"-o", "js"}) == Texts{"json", "jsonl"});
  CHECK(texts({"status", "--output=t"}) == Texts{"--output=table"});
  CHECK(texts({"database", "set-password", "x", "--password-f"}) == Texts{"--password-file"});
  CHECK(texts({"repository", "check", "--read-data", "rep"}) ==
        Texts{"repository-one", "repository-two"});
  CHECK(texts({"completion", "z"}) == Texts{"zsh"});
}

TEST_CASE("ctl: completion leaves files to the shell") {
  CHECK(texts({"artifact", "import", ""}) == Texts{":files"});
  CHECK(texts({"--socket", "/r"}) == Texts{":files"});
}

TEST_CASE("ctl: the daemon is asked by lists, and silence is no error") {
  const dbbackup::test::ManualClock clock{util::TimePoint{}};
  const Call answers = [](std::string_view method, const json::Object&,
                          const control::Client::OnNotification&,
                          const control::Client::KeepWaiting&) -> json::Value {
    if (method != "artifact.list") throw util::Error(util::ErrorCode::daemon_unreachable, "gone");
    return json::parse(
        R"({"schema_version":1,"artifacts":[{"id":"01jd","database":"shop","created_at":"t"},)"
        R"({"id":"line\nbreak"}]})");
  };
  const NameLookup names = names_from_daemon(answers, clock);
  CHECK(completion_lines(names("artifact")) == "latest\tthe newest artifact\n01jd\tshop t\n");
  CHECK(names("database").empty());
  CHECK(names("no such kind").empty());
}

TEST_CASE("ctl: each shell has a script that calls the engine") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CHECK(completion_script(shell).find("__complete --") != std::string::npos);
  }
  CHECK_THROWS_AS(completion_script("csh"), util::Error);
}

}  // namespace dbbackup::ctl
