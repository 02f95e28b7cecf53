#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "control/command.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::control {
namespace {

// The words of an example, with '...' kept together.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

// Reads an example as the client would and returns what it sends.
util::json::Object params_of(const Command& command, const std::string& example) {
  auto words = shell_words(example);
  for (const std::string& word : util::split(command_words(command), ' ')) {
    REQUIRE(words.front() == word);
    words.erase(words.begin());
  }
  const auto positional = [&] {
    std::vector<const Parameter*> all;
    for (const Parameter& parameter : command.parameters) {
      if (parameter.positional) all.push_back(&parameter);
    }
    return all;
  }();

  util::json::Object params;
  std::size_t next_positional = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    // The client's own.
    const std::set<std::string> flags = {
        "--wait",           "--follow",           "--plan",
        "--password-stdin", "--passphrase-stdin", "--recovery-key-stdin"};
    const bool own_value = word == "-o" || (word == "--file" && command.name.ends_with("export"));
    if (own_value) {
      ++i;
      continue;
    }
    const bool has_follow = std::ranges::any_of(
        command.parameters, [](const Parameter& parameter) { return parameter.name == "follow"; });
    if (flags.contains(word) && !(word == "--follow" && has_follow)) continue;
    if (!word.starts_with("--")) {
      REQUIRE(next_positional < positional.size());
      params[positional[next_positional++]->name] = word;
      continue;
    }
    std::optional<std::string> value;
    if (const auto equals = word.find('='); equals != std::string::npos) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    std::string name = word.substr(2);
    std::ranges::replace(name, '-', '_');
    if (name == "option") name = "options";
    const auto found = std::ranges::find(command.parameters, name, &Parameter::name);
    INFO("option " << name);
    REQUIRE(found != command.parameters.end());
    if (found->type == ParameterType::boolean) {
      params[name] = true;
      continue;
    }
    if (!value && !found->implicit.empty()) value = found->implicit;
    if (!value) {
      REQUIRE(i + 1 < words.size());
      value = words[++i];
    }
    if (found->type == ParameterType::strings) {
      params[name] = util::json::Array{util::json::Value(*value)};
    } else if (found->type == ParameterType::options) {
      const auto parts = util::split(*value, '=');
      REQUIRE(parts.size() == 2);
      params[name] = util::json::Object{{parts[0], parts[1]}};
    } else {
      params[name] = *value;
    }
  }
  return params;
}

TEST_CASE("the command table is consistent", "[control]") {
  std::set<std::string> names;
  for (const Command& command : command_table()) {
    INFO(command.name);
    CHECK(names.insert(command.name).second);
    CHECK(util::split(command.name, '.').size() == 2);
    CHECK(find_command(command.name) == &command);
    CHECK(command.summary.ends_with("."));
    CHECK_FALSE(command.examples.empty());
    if (command.access == Access::viewer) CHECK_FALSE(command.mutating);
    if (command.starts_run) CHECK(command.mutating);

    std::set<std::string> parameters;
    bool options_begun = false;
    bool optional_begun = false;
    for (const Parameter& parameter : command.parameters) {
      INFO(parameter.name);
      CHECK(parameters.insert(parameter.name).second);
      CHECK_FALSE(parameter.summary.empty());
      CHECK(parameter.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
      if (parameter.positional) {
        CHECK_FALSE(options_begun);
        CHECK_FALSE((optional_begun && parameter.required));
        CHECK(parameter.type != ParameterType::secret);
        optional_begun = optional_begun || !parameter.required;
      } else {
        options_begun = true;
      }
      if (!parameter.choices.empty()) CHECK(parameter.type == ParameterType::string);
      if (parameter.type == ParameterType::boolean) CHECK_FALSE(parameter.required);
    }
  }
  CHECK(find_command("job.ad") == nullptr);
}

TEST_CASE("every example can be sent", "[control]") {
  for (const Command& command : command_table()) {
    for (const std::string& example : command.examples) {
      INFO(example);
      auto params = params_of(command, example);
      for (const Parameter& parameter : command.parameters) {
        if (parameter.type == ParameterType::secret) params[parameter.name] = "s3cret";
      }
      CHECK_NOTHROW(check_parameters(command, params));
    }
  }
}

TEST_CASE("access classes follow the kind of the command", "[control]") {
  const std::map<std::string, Access> expected = {
      {"database.list", Access::viewer},
      {"run.wait", Access::viewer},
      {"status.show", Access::viewer},
      {"events.list", Access::viewer},
      {"backup.start", Access::operate},
      {"job.run", Access::operate},
      {"artifact.drill", Access::operate},
      {"artifact.verify", Access::operate},
      {"repository.check", Access::operate},
      {"run.cancel", Access::operate},
      {"artifact.hold", Access::operate},
      {"artifact.release", Access::operate},
      {"schedule.pause", Access::operate},
      {"schedule.run_due", Access::operate},
      {"job.add", Access::admin},
      {"database.remove", Access::admin},
      {"restore.start", Access::admin},
      {"restore.plan", Access::admin},
      {"artifact.export", Access::admin},
      {"repository.prune", Access::admin},
      {"repository.key_export", Access::admin},
      {"database.allow_restore", Access::admin},
      {"daemon.reload", Access::admin},
  };
  for (const auto& [name, access] : expected) {
    INFO(name);
    REQUIRE(find_command(name) != nullptr);
    CHECK(find_command(name)->access == access);
  }
  // Whoever takes a key is on record, although nothing changes.
  CHECK(find_command("repository.key_export")->mutating);
}

TEST_CASE("access classes have names", "[control]") {
  for (const Access access : {Access::viewer, Access::operate, Access::admin}) {
    CHECK(access_from_name(access_name(access)) == access);
  }
  CHECK(access_name(Access::operate) == "operator");
  CHECK_FALSE(access_from_name("root"));
}

TEST_CASE("methods have words on the command line", "[control]") {
  const std::map<std::string, std::string> expected = {
      {"job.add", "job add"},
      {"database.set_password", "database set-password"},
      {"repository.key_add_passphrase", "repository key add-passphrase"},
      {"backup.start", "backup"},
      {"restore.plan", "restore"},
      {"status.show", "status"},
      {"schedule.run_due", "schedule run-due"},
  };
  for (const auto& [name, words] : expected) CHECK(command_words(*find_command(name)) == words);
}

const std::string& protocol_path() {
  static const std::string path = DBBACKUP_SOURCE_DIR "/lib/control/PROTOCOL.md";
  return path;
}

std::string protocol_text() {
  std::ifstream in(protocol_path());
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("PROTOCOL.md lists every error", "[control]") {
  const std::string text = protocol_text();
  for (const auto& traits : util::all_error_traits()) {
    std::string code = std::to_string(traits.wire_code);
    if (traits.code == util::ErrorCode::usage) code += ", or one of those below";
    const std::string row =
        util::cat("| `", traits.name, "` | ", code, " | ", traits.exit_status, " |\n");
    INFO(row);
    CHECK(text.find(row) != std::string::npos);
  }
}

TEST_CASE("PROTOCOL.md holds the reference of this table", "[control]") {
  const std::string begin = "<!-- reference begins: written from the command table -->\n";
  const std::string end = "<!-- reference ends -->\n";
  std::string text = protocol_text();
  const auto from = text.find(begin);
  const auto to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const std::string reference = "\n" + render_protocol_reference() + "\n";
  const std::string written = text.substr(from + begin.size(), to - from - begin.size());

  if (std::getenv("DBBACKUP_WRITE_PROTOCOL") != nullptr) {
    std::ofstream(protocol_path()) << text.replace(from + begin.size(), written.size(), reference);
    SUCCEED("written");
    return;
  }
  INFO("to write it anew: DBBACKUP_WRITE_PROTOCOL=1 unit_tests '*PROTOCOL.md*'");
  CHECK((written == reference));
}

}  // namespace
}  // namespace dbbackup::control
