// The manual names every command, argument and option that can be typed.

#include <catch2/catch.hpp>

#include "ctl/help.hpp"
#include "ctl/verb.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace {

std::string manual() {
  const auto content = util::read_file(DBBACKUP_CTL_MAN_PAGE);
  REQUIRE(content);
  std::string text;
  for (const char c : util::as_text(*content)) {
    if (c != '\\') text.push_back(c);  // roff writes an option's dashes as \-
  }
  return text;
}

}  // namespace

TEST_CASE("ctl: the manual describes every command and option") {
  const std::string text = manual();
  for (const Verb& verb : verbs()) {
    const std::size_t begin = text.find(util::cat("\n.\" command ", verb.spelling(), "\n"));
    INFO(verb.spelling());
    REQUIRE(begin != std::string::npos);
    const std::string section =
        text.substr(begin, text.find("\n.\" command", begin + 1) - begin) + "\n";
    for (const control::Parameter& parameter : positionals_of(verb)) {
      INFO(parameter.name);
      CHECK(section.find(placeholder_of(parameter)) != std::string::npos);
    }
    for (const Option& option : options_of(verb)) {
      INFO(option.name);
      CHECK((section.find("--" + option.name + " ") != std::string::npos ||
             section.find("--" + option.name + "\n") != std::string::npos ||
             section.find("--" + option.name + "f") != std::string::npos));
    }
  }
  for (const Option& option : global_options()) {
    CHECK(text.find("--" + option.name) != std::string::npos);
  }
}

TEST_CASE("ctl: the manual names every exit status") {
  const std::string text = manual();
  for (const util::ErrorTraits& entry : util::all_error_traits()) {
    CHECK(text.find(util::cat("\n.B ", entry.exit_status, "\n")) != std::string::npos);
  }
}

TEST_CASE("ctl: help opens with examples wherever it is asked") {
  CHECK(help_text({}).starts_with("Examples:\n  dbbackupctl "));
  for (const Verb& verb : verbs()) {
    INFO(verb.spelling());
    CHECK(help_text(verb.words).starts_with("Examples:\n  dbbackupctl " + verb.words.front()));
    CHECK(help_text(std::vector<std::string>{verb.words.front()})
              .starts_with("Examples:\n  dbbackupctl " + verb.words.front()));
    CHECK_FALSE(noun_summary(verb.words.front()).empty());
    for (const Option& option : options_of(verb)) {
      CHECK(help_text(verb.words).find("--" + option.name) != std::string::npos);
    }
  }
}

}  // namespace dbbackup::ctl
