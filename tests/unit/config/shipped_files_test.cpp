// The files in config/ say what the code does: the example loads, its commented keys are the
// defaults, and the manual page names every key.
#include <catch2/catch.hpp>
#include <cctype>
#include <filesystem>
#include <string>
#include <vector>

#include "config/daemon_config.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::config {
namespace {

std::filesystem::path shipped(const char* name) {
  return std::filesystem::path(DBBACKUP_SOURCE_DIR) / "config" / name;
}

std::string content(const char* name) {
  const auto bytes = util::read_file(shipped(name));
  REQUIRE(bytes);
  return std::string(util::as_text(*bytes));
}

// In the example a comment is "# Text" and a key that may be uncommented is "#key:" or "#  key:".
bool is_commented_key(const std::string& line) {
  if (!line.starts_with('#')) return false;
  const std::size_t first = line.find_first_not_of(' ', 1);
  return first != std::string::npos && first != 2 &&
         std::islower(static_cast<unsigned char>(line[first])) != 0;
}

std::string uncommented() {
  std::vector<std::string> lines = util::split(content("dbbackupd.yaml"), '\n');
  for (std::string& line : lines) {
    if (is_commented_key(line)) line.erase(0, 1);
  }
  return util::join(lines, "\n");
}

}  // namespace

TEST_CASE("config: the example file is the defaults", "[config]") {
  const LoadResult result = load_file(shipped("dbbackupd.yaml"));
  CHECK(result.ok());
  CHECK(result.config == DaemonConfig{});
}

TEST_CASE("config: the example file shows every key with its default", "[config]") {
  LoadResult result = load_text(uncommented(), "uncommented");
  for (const Diagnostic& diagnostic : result.diagnostics) UNSCOPED_INFO(one_line(diagnostic));
  REQUIRE(result.ok());
  // The keys whose default depends on the machine show an example instead.
  CHECK(result.config.timezone == "Europe/Berlin");
  CHECK(result.config.parallel == 4);
  CHECK(result.config.scratch_path() == DaemonConfig{}.scratch_path());
  result.config.timezone.reset();
  result.config.parallel = default_parallel();
  result.config.scratch_dir.reset();
  CHECK(result.config == DaemonConfig{});
}

TEST_CASE("config: the example file and the manual page know the same keys as the reader",
          "[config]") {
  // The reader names its keys when it meets one that is like none of them.
  const LoadResult probe = load_text(
      "qqqqqqqqqqqq: 1\ncontrol: {qqqqqqqqqqqq: 1}\naccess: {qqqqqqqqqqqq: 1}\nhistory: "
      "{qqqqqqqqqqqq: 1}\nmaintenance: {qqqqqqqqqqqq: 1}\n",
      "probe");
  REQUIRE(probe.diagnostics.size() == 5);
  const std::string example = util::cat("\n", uncommented());
  const std::string manual = content("dbbackupd.yaml.5");
  std::size_t keys = 0;
  for (const Diagnostic& diagnostic : probe.diagnostics) {
    constexpr std::string_view kIntroduction = "known here are: ";
    REQUIRE(diagnostic.hint.starts_with(kIntroduction));
    for (const std::string& key : util::split(diagnostic.hint.substr(kIntroduction.size()), ',')) {
      const std::string name(util::trim(key));
      INFO(name);
      ++keys;
      const char* indent = diagnostic.line == 1 ? "\n" : "\n  ";
      CHECK(example.find(util::cat(indent, name, ":")) != std::string::npos);
      const bool documented =
          manual.find(util::cat(" ", name, ":")) != std::string::npos ||     // .BI key: " value"
          manual.find(util::cat(".BR ", name, " ")) != std::string::npos ||  // .BR key ": " ...
          manual.find(util::cat("The section ", name)) != std::string::npos;
      CHECK(documented);
    }
  }
  CHECK(keys == 31);
}

}  // namespace dbbackup::config
