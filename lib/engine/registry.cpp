// The engines of this build, and everything that is asked by an engine's name. A new engine adds
// one line to entries().
#include <algorithm>

#include "engine/engine.hpp"
#include "engine/entry.hpp"
#include "engine/mongodb/mongodb_engine.hpp"
#include "engine/mysql/mysql_engine.hpp"
#include "engine/postgresql/postgresql_engine.hpp"
#include "engine/sqlite/sqlite_engine.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

std::vector<Entry> entries() {
  std::vector<Entry> all = {sqlite_engine::entry(), postgresql::entry(), mongodb::entry()};
  for (Entry& entry : mysql::entries()) all.push_back(std::move(entry));
  return all;
}

Entry entry_of(const std::string& engine) {
  for (Entry& entry : entries()) {
    if (entry.engine == engine) return std::move(entry);
  }
  throw Error(ErrorCode::unsupported,
              cat("this build has no engine \"", util::printable(engine), "\""),
              cat("known engines: ", util::join(known_engines(), ", ")));
}

// The part between "://" and the next slash may hold user:password@.
void refuse_password(const std::string& rest) {
  const std::string authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t at = authority.rfind('@');
  if (at == std::string::npos) return;
  if (authority.substr(0, at).find(':') == std::string::npos) return;
  throw Error(ErrorCode::usage, "a database URL must not contain a password",
              "leave it out and give it with --password-stdin, --password-file, --password-env or "
              "--password-credential");
}

unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  throw Error(ErrorCode::usage, "a database URL has a malformed %XX escape",
              "write a percent sign in a path as %25");
}
}  // namespace

std::string percent_decode(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) hex_digit('?');
    plain += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  if (plain.find('\0') != std::string::npos) {
    throw Error(ErrorCode::usage, "a database URL must not contain a NUL");
  }
  return plain;
}

Address parse_url(const std::string& url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string::npos || colon == 0) {
    throw Error(ErrorCode::usage, "a database URL looks like scheme://...",
                "for a SQLite file: sqlite:///absolute/path.db");
  }
  const std::string scheme = util::to_lower(url.substr(0, colon));
  const std::string rest = url.substr(colon + 3);
  refuse_password(rest);
  std::vector<std::string> known;
  for (const Entry& entry : entries()) {
    if (std::find(entry.schemes.begin(), entry.schemes.end(), scheme) != entry.schemes.end()) {
      Address address;
      address.engine = entry.engine;
      address.url = url;
      entry.parse(rest, address);
      return address;
    }
    known.insert(known.end(), entry.schemes.begin(), entry.schemes.end());
  }
  const auto near = util::nearest(scheme, known);
  throw Error(ErrorCode::unsupported,
              cat("this build cannot serve databases of scheme \"", util::printable(scheme), "\""),
              near ? cat("did you mean \"", *near, "\"?")
                   : cat("known schemes: ", util::join(known, ", ")));
}

std::unique_ptr<Engine> make_engine(const Address& address, const Settings& settings) {
  return entry_of(address.engine).make(address, settings);
}

bool scratch_needs_server(const std::string& engine) {
  return entry_of(engine).scratch_needs_server;
}

std::unique_ptr<Engine> make_scratch_engine(const std::string& engine, const ScratchPlace& place,
                                            const Settings& settings) {
  return entry_of(engine).make_scratch(place, settings);
}

std::vector<std::string> known_engines() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.engine);
  return names;
}

void check_options(const std::string& engine, const Options& options) {
  const Entry entry = entry_of(engine);
  std::vector<std::string> names;
  for (const OptionInfo& option : entry.options) names.push_back(option.name);
  for (const auto& [name, value] : options) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto near = util::nearest(name, names);
      throw Error(
          ErrorCode::usage,
          cat("engine ", engine, " has no option \"", util::printable(name), "\""),
          near ? cat("did you mean \"", *near, "\"?") : cat("options: ", util::join(names, ", ")));
    }
    entry.options[static_cast<std::size_t>(found - names.begin())].check(value);
  }
}

std::unique_ptr<ArtifactTables> open_tables(repository::ArtifactReader& reader) {
  return entry_of(reader.engine()).open_tables(reader);
}

std::optional<std::string> engine_of_dump(const std::string& path) {
  for (const Entry& entry : entries()) {
    if (entry.is_dump && entry.is_dump(path)) return entry.engine;
  }
  return std::nullopt;
}

repository::Summary import_dump(const std::string& engine, const std::string& path,
                                repository::ArtifactWriter& writer, util::Task& task) {
  return entry_of(engine).import_dump(path, writer, task);
}

bool Probe::ok() const {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.ok; });
}

std::string_view restore_mode_name(RestoreMode mode) {
  switch (mode) {
    case RestoreMode::create:
      return "create";
    case RestoreMode::replace:
      return "replace";
    case RestoreMode::append:
      return "append";
  }
  return {};
}

std::optional<RestoreMode> restore_mode_from_name(std::string_view name) {
  for (const auto mode : {RestoreMode::create, RestoreMode::replace, RestoreMode::append}) {
    if (restore_mode_name(mode) == name) return mode;
  }
  return std::nullopt;
}

}  // namespace dbbackup::engine
