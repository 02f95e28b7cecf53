#include "ctl/arguments.hpp"

#include <catch2/catch.hpp>

#include "util/error.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::Error;
using util::ErrorCode;

namespace {

Invocation parse(const std::vector<std::string>& words) {
  return parse_arguments(words, "/home/somebody");
}

// The message and the hint of the usage error that these words end with.
std::string mistake(const std::vector<std::string>& words) {
  try {
    parse(words);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.message() + " | " + error.hint();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("ctl: positionals, options, flags and repeated options become parameters") {
  const Invocation add =
      parse({"job", "add", "nightly", "--database", "shop", "--keep-last=7", "--include", "a*",
             "--include", "b", "--option", "x=1", "--option", "y=a=b"});
  CHECK(add.verb->spelling() == "job add");
  CHECK(json::write(add.params) ==
        R"({"name":"nightly","database":"shop","keep_last":"7","include":["a*","b"],)"
        R"("options":{"x":"1","y":"a=b"}})");
  const Invocation due = parse({"schedule", "list", "--active-only"});
  CHECK(json::write(due.params) == R"({"active_only":true})");
  const Invocation where = parse({"job", "update", "n", "--where", "t=a > 1"});
  CHECK(json::write(where.params) == R"({"name":"n","where":["t=a > 1"]})");
}

TEST_CASE("ctl: an empty value is a value") {
  CHECK(json::write(parse({"job", "update", "n", "--pre-hook", ""}).params) ==
        R"({"name":"n","pre_hook":""})");
  CHECK(json::write(parse({"job", "update", "n", "--pre-hook="}).params) ==
        R"({"name":"n","pre_hook":""})");
  CHECK(json::write(parse({"database", "update", "n", "--option", "a="}).params) ==
        R"({"name":"n","options":{"a":""}})");
}

TEST_CASE("ctl: nouns with one verb and verbs of two words are found") {
  CHECK(parse({"backup", "shop"}).verb->command->name == "backup.start");
  CHECK(parse({"status"}).verb->command->name == "status.show");
  CHECK(parse({"repository", "key", "add-passphrase", "default"}).verb->command->name ==
        "repository.key_add_passphrase");
  CHECK(parse({"completion", "bash"}).verb->command == nullptr);
}

TEST_CASE("ctl: global options stand anywhere") {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-o", "json", "--socket", "/s", "-q", "database", "list"},
        {"database", "-o", "json", "--socket=/s", "list", "-q"},
        {"database", "list", "-q", "--output=json", "--socket", "/s"},
        {"-ojson", "database", "--socket", "/s", "list", "--quiet"}}) {
    const Invocation invocation = parse(words);
    CHECK(invocation.verb->command->name == "database.list");
    CHECK(invocation.format == Format::json);
    CHECK(invocation.socket == "/s");
    CHECK(invocation.quiet);
    CHECK(find_format(words) == Format::json);
  }
  CHECK(find_format({"x", "--", "-o", "json"}) == Format::table);
}

TEST_CASE("ctl: the client's own options stay here") {
  const Invocation run = parse({"job", "run", "nightly", "--wait", "--type", "full"});
  CHECK(run.flag("wait"));
  CHECK_FALSE(run.flag("follow"));
  CHECK(json::write(run.params) == R"({"name":"nightly","type":"full"})");
  const Invocation plan = parse({"restore", "latest", "--to", "b", "--plan"});
  CHECK(plan.flag("plan"));
  CHECK(json::write(plan.params) == R"({"artifact":"latest","to":"b"})");
}

TEST_CASE("ctl: an option with an optional value takes it only behind =") {
  CHECK(json::write(parse({"repository", "check", "--read-data", "default"}).params) ==
        R"({"read_data":"100","name":"default"})");
  CHECK(json::write(parse({"repository", "check", "default", "--read-data=10"}).params) ==
        R"({"name":"default","read_data":"10"})");
}

TEST_CASE("ctl: words behind -- are taken as they are") {
  CHECK(json::write(parse({"job", "show", "--", "--odd-name"}).params) ==
        R"({"name":"--odd-name"})");
}

TEST_CASE("ctl: paths for the daemon are made absolute") {
  CHECK(json::get_string(parse({"artifact", "import", "x.dbbackup"}).params, "file") ==
        "/home/somebody/x.dbbackup");
  CHECK(json::get_string(
            parse({"artifact", "export", "latest", "--format", "csv", "--to", "../out.zip"}).params,
            "to") == "/home/out.zip");
  CHECK(json::get_string(parse({"restore", "--file", "/a/b", "--to", "x"}).params, "file") ==
        "/a/b");
}

TEST_CASE("ctl: typing errors get a suggestion") {
  CHECK(mistake({"databse", "list"}) == "unknown command databse | did you mean database?");
  CHECK(mistake({"database", "lst"}) ==
        "unknown command database lst | did you mean database list?");
  CHECK(mistake({"job", "add", "n", "--database", "d", "--keep-lst", "3"}) ==
        "unknown option --keep-lst | did you mean --keep-last?");
  CHECK(mistake({"job", "add", "n", "--database", "d", "--type", "ful"}) ==
        "--type cannot be ful | did you mean full?");
  CHECK(mistake({"job", "add", "n", "--database", "d", "--type", "zzzzzzzz"}) ==
        "--type cannot be zzzzzzzz | choose one of full, differential");
  CHECK(mistake({"-o", "xml", "status"}) ==
        "--output cannot be xml | choose one of table, json, jsonl, name");
  CHECK(mistake({"--soket", "/s", "status"}) == "unknown option --soket | did you mean --socket?");
  CHECK(mistake({"--keep-last", "3", "job", "add"})
            .starts_with("--keep-last stands before its command | "));
  CHECK(mistake({"--no-color", "stauts"}) == "unknown command stauts | did you mean status?");
  CHECK(mistake({"sql", "shop", "select 1"}).starts_with("unknown command sql"));
}

TEST_CASE("ctl: incomplete and overfull lines are refused") {
  CHECK(mistake({}).starts_with("a command is missing"));
  CHECK(mistake({"database"}).starts_with("database: a verb is missing | choose one of add, list"));
  CHECK(mistake({"repository", "key"})
            .starts_with("repository key: a verb is missing | choose one of export, list"));
  CHECK(mistake({"database", "add", "shop"}).starts_with("database add: URL is missing"));
  CHECK(mistake({"job", "add", "n"}).starts_with("job add: --database is missing"));
  CHECK(mistake({"job", "show", "a", "b"}).starts_with("too many words: b"));
  CHECK(mistake({"job", "add", "n", "--database"}).find("database") != std::string::npos);
  CHECK(mistake({"job", "add", "n", "--database", "a", "--database", "b"})
            .starts_with("--database was given twice"));
  CHECK(mistake({"database", "add", "a", "b", "--option", "novalue"})
            .starts_with("--option novalue: no KEY=VALUE"));
  CHECK(mistake({"job", "show", "\xff"}).starts_with("the value of NAME is not valid UTF-8"));
  CHECK(mistake({"no\x1b[2Jpe"}).find('\x1b') == std::string::npos);
}

TEST_CASE("ctl: abbreviated options are no options") {
  CHECK(mistake({"job", "add", "n", "--datab", "shop"}).starts_with("unknown option --datab"));
}

TEST_CASE("ctl: a password inside a URL is refused and not repeated") {
  for (const char* url : {"postgresql://me:secret@host/db", "mysql://:secret@host/db",
                          "mongodb://host/db?password=secret", "postgresql://me:sec@ret@host/db"}) {
    const std::string text = mistake({"database", "add", "crm", url});
    CHECK(text.starts_with("a password inside a URL"));
    CHECK(text.find("--password-stdin") != std::string::npos);
    CHECK(text.find("sec") == std::string::npos);
  }
  CHECK(mistake({"database", "update", "crm", "--url", "postgresql://me:secret@host/db"})
            .starts_with("a password inside a URL"));
  CHECK_NOTHROW(parse({"database", "add", "crm", "postgresql://me@host:5432/db?sslmode=require"}));
  CHECK_NOTHROW(parse({"database", "add", "shop", "sqlite:///srv/a:b@c.db"}));
}

TEST_CASE("ctl: a secret has one source") {
  const Invocation add = parse({"database", "add", "a", "b", "--password-file", "/f"});
  CHECK(add.secrets.at("password").kind == "file");
  CHECK(add.secrets.at("password").value == "/f");
  CHECK(mistake({"database", "add", "a", "b", "--password-file", "/f", "--password-stdin"})
            .starts_with("the password can come from one place only"));
  CHECK(mistake({"database", "add", "a", "b", "--password", "secret"})
            .starts_with("unknown option --password"));
}

TEST_CASE("ctl: help is asked for in several ways") {
  CHECK(parse({"--help"}).help);
  CHECK(parse({"help"}).help);
  CHECK(parse({"help", "job", "add"}).words == std::vector<std::string>{"job", "add"});
  CHECK(parse({"job", "-h"}).words == std::vector<std::string>{"job"});
  const Invocation verb = parse({"job", "add", "--help"});
  CHECK(verb.help);
  CHECK(verb.verb->spelling() == "job add");
  CHECK(parse({"--version"}).version);
}

TEST_CASE("ctl: secret options of storage come from somewhere else than the command line") {
  const Invocation add = parse({"repository", "add", "far", "s3://bucket", "--option",
                                "access_key=id", "--option", "secret_key=@/root/key", "--option",
                                "session_token=env:TOKEN"});
  CHECK(json::write(add.params) ==
        R"({"name":"far","url":"s3://bucket","options":{"access_key":"id"}})");
  REQUIRE(add.option_secrets.size() == 2);
  CHECK(add.option_secrets[0].option == "secret_key");
  CHECK(add.option_secrets[0].source.kind == "file");
  CHECK(add.option_secrets[0].source.value == "/root/key");
  CHECK(add.option_secrets[1].source.kind == "env");

  const std::string typed =
      mistake({"repository", "add", "far", "s3://bucket", "--option", "secret_key=hunter2"});
  CHECK_THAT(typed, Catch::Contains("secret_key=@FILE") && !Catch::Contains("hunter2"));
  CHECK_THAT(mistake({"repository", "add", "far", "s3://b", "--option", "secret_key=-", "--option",
                      "secret_key=@f"}),
             Catch::Contains("given twice"));
  // Taking one away says nothing secret.
  CHECK(json::write(parse({"repository", "update", "far", "--option", "sas_token="}).params) ==
        R"({"name":"far","options":{"sas_token":""}})");
}

}  // namespace dbbackup::ctl
