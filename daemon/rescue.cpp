#include "daemon/rescue.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "catalog/types.hpp"
#include "control/command.hpp"
#include "control/secret_source.hpp"
#include "crypto/cipher.hpp"
#include "daemon/state.hpp"
#include "engine/engine.hpp"
#include "job/proof.hpp"
#include "repository/repository.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace po = boost::program_options;
namespace fs = std::filesystem;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
po::options_description description() {
  po::options_description options("Options of rescue");
  auto add = options.add_options();
  add("verb", po::value<std::string>(), "list or restore");
  add("artifact", po::value<std::string>()->default_value("latest"),
      "id, unique prefix of it, or latest (default)");
  add("repository", po::value<std::string>()->value_name("URL"), "where the repository is");
  add("option", po::value<std::vector<std::string>>()->value_name("K=V"),
      "an option of the storage; a secret one as K=@FILE, K=env:VARIABLE, K=credential:NAME or "
      "K=-");
  add("recovery-key-file", po::value<std::string>()->value_name("FILE"),
      "file with the recovery key that 'repository key export' printed");
  add("daemon-key-file", po::value<std::string>()->value_name("FILE"),
      "a copy of the old daemon's daemon.key, instead of the recovery key");
  add("passphrase-stdin", "read the repository's passphrase from standard input instead");
  add("database", po::value<std::string>()->value_name("NAME"), "only artifacts of this database");
  add("to", po::value<std::string>()->value_name("URL"), "database to restore into");
  add("mode", po::value<std::string>()->default_value("create")->value_name("MODE"),
      "what to do about data in the target: refuse (create, the default), drop it first (replace), "
      "or add to it (append)");
  add("yes", "confirms that mode replace destroys what the target holds");
  add("help", "print this and exit");
  return options;
}

std::string required(const po::variables_map& values, const char* name) {
  if (values.count(name)) return values[name].as<std::string>();
  throw Error(ErrorCode::usage, cat("rescue needs --", name), "see dbbackupd rescue --help");
}

repository::Unlock unlock_from(const po::variables_map& values) {
  repository::Unlock unlock;
  if (values.count("recovery-key-file")) {
    const std::string file = values["recovery-key-file"].as<std::string>();
    const auto content = util::read_file(file, 4096);
    if (!content) throw Error(ErrorCode::not_found, cat("there is no file ", file));
    const auto key = crypto::parse_printable_key(util::as_text(*content));
    if (!key) {
      throw Error(ErrorCode::usage, cat(file, " does not hold a recovery key"),
                  "it begins with dbk1-; a typing error is found by its checksum");
    }
    unlock.recovery_key = *key;
  } else if (values.count("daemon-key-file")) {
    unlock.daemon_key = read_daemon_key(values["daemon-key-file"].as<std::string>());
  } else if (values.count("passphrase-stdin")) {
    std::string line;
    std::getline(std::cin, line);
    unlock.passphrase = crypto::Secret::from_text(line);
    crypto::wipe(line.data(), line.size());
  } else {
    throw Error(ErrorCode::usage, "rescue needs a key",
                "give --recovery-key-file, --daemon-key-file or --passphrase-stdin");
  }
  return unlock;
}

storage::StoreOptions store_options(const po::variables_map& values) {
  storage::StoreOptions options;
  if (values.count("option") == 0) return options;
  const control::Environment environment = [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  for (const std::string& text : values["option"].as<std::vector<std::string>>()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::usage, "--option takes KEY=VALUE");
    }
    const std::string name = text.substr(0, equals);
    std::string value = text.substr(equals + 1);
    if (control::is_secret_option(name)) {
      value = control::read_secret(control::parse_secret_source(value, name), name, environment,
                                   std::cin);
    }
    options.emplace_back(name, std::move(value));
  }
  return options;
}

// Newest first. Backups of the control database are shown only when asked for by name.
std::vector<repository::Manifest> artifacts(repository::Repository& repository,
                                            const std::string& database) {
  std::vector<repository::Manifest> found = repository.list();
  std::erase_if(found, [&](const auto& manifest) {
    return database.empty() ? manifest.database == catalog::kControlName
                            : manifest.database != database;
  });
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.sealed > b.sealed; });
  return found;
}

const repository::Manifest& choose(const std::vector<repository::Manifest>& found,
                                   const std::string& reference) {
  if (found.empty()) throw Error(ErrorCode::not_found, "the repository holds no such artifact");
  if (reference == "latest") return found.front();
  const repository::Manifest* chosen = nullptr;
  for (const auto& manifest : found) {
    if (!manifest.id.starts_with(reference)) continue;
    if (chosen != nullptr) {
      throw Error(ErrorCode::usage, cat("'", reference, "' fits several artifacts"),
                  "give more characters of the id");
    }
    chosen = &manifest;
  }
  if (chosen == nullptr || reference.size() < 6) {
    throw Error(ErrorCode::not_found, cat("there is no artifact '", reference, "'"),
                "dbbackupd rescue list shows them");
  }
  return *chosen;
}

int list(const std::vector<repository::Manifest>& found) {
  std::printf("%-26s  %-24s  %-16s  %-10s  %12s  %12s\n", "ARTIFACT", "CREATED", "DATABASE",
              "ENGINE", "ROWS", "SIZE");
  for (const auto& manifest : found) {
    std::printf("%-26s  %-24s  %-16s  %-10s  %12s  %12s\n", manifest.id.c_str(),
                util::format_rfc3339(manifest.sealed).c_str(),
                util::printable(manifest.database).c_str(), manifest.engine.c_str(),
                std::to_string(manifest.rows).c_str(),
                util::format_size(manifest.source_bytes).c_str());
  }
  return 0;
}

engine::RestoreRequest request_from(const po::variables_map& values) {
  const std::string name = values["mode"].as<std::string>();
  const auto mode = engine::restore_mode_from_name(name);
  if (!mode) {
    throw Error(ErrorCode::usage, cat("unknown restore mode '", util::printable(name), "'"),
                "use create, replace or append");
  }
  if (*mode == engine::RestoreMode::replace && !values.count("yes")) {
    throw Error(ErrorCode::refused, "--mode replace destroys what the target holds",
                "confirm with --yes");
  }
  engine::RestoreRequest request;
  request.mode = *mode;
  return request;
}

int restore(repository::Repository& repository, const repository::Manifest& manifest,
            const std::string& url, const engine::RestoreRequest& request) {
  const engine::Address address = engine::parse_url(url);
  if (address.engine != manifest.engine) {
    throw Error(ErrorCode::refused, cat("the artifact holds a ", manifest.engine, " database, ",
                                        url, " is a ", address.engine, " database"));
  }
  util::Progress progress;
  util::Task task({}, progress, [](util::Severity, std::string_view line) {
    std::fprintf(stderr, "%s\n", util::printable(line).c_str());
  });
  const auto reader = repository.read(manifest.id);
  const auto engine = engine::make_engine(address, {});
  const engine::RestoreResult result = engine->restore(*reader, request, task);
  for (const std::string& warning : result.warnings) {
    std::fprintf(stderr, "warning: %s\n", util::printable(warning).c_str());
  }
  if (request.mode == engine::RestoreMode::append) {
    // The target held rows of its own: equality is not to be expected.
    std::printf("appended %s to %s; content hashes are not compared in this mode\n",
                manifest.id.c_str(), url.c_str());
    return 0;
  }
  job::require_equal(job::compare_proof(manifest.summary.proof, result.fingerprint),
                     cat("database ", url));
  std::printf("restored %s into %s: %s rows; all row counts and content hashes equal the proof\n",
              manifest.id.c_str(), url.c_str(), std::to_string(manifest.rows).c_str());
  return 0;
}
}  // namespace

int rescue(int argc, const char* const* argv) {
  const po::options_description known = description();
  po::variables_map values;
  try {
    po::positional_options_description positional;
    positional.add("verb", 1).add("artifact", 1);
    po::store(
        po::command_line_parser(argc, argv)
            .options(known)
            .positional(positional)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run(),
        values);
  } catch (const po::error& error) {
    throw Error(ErrorCode::usage, error.what(), "see dbbackupd rescue --help");
  }
  if (values.count("help")) {
    std::cout << "Examples:\n"
                 "  dbbackupd rescue list --repository file:///mnt/repository --recovery-key-file "
                 "key.txt\n"
                 "  dbbackupd rescue restore latest --repository file:///mnt/repository \\\n"
                 "            --recovery-key-file key.txt --to sqlite:///srv/shop.db\n\n"
              << known;
    return 0;
  }
  const std::string verb = values.count("verb") ? values["verb"].as<std::string>() : "";
  if (verb != "list" && verb != "restore") {
    throw Error(ErrorCode::usage,
                verb.empty() ? std::string("rescue needs a verb")
                             : cat("unknown verb '", verb, "' of rescue"),
                "use list or restore");
  }
  const std::string url = required(values, "repository");
  const std::string to = verb == "restore" ? required(values, "to") : "";
  const engine::RestoreRequest request = request_from(values);

  // The chunk index is a cache: a throw-away one serves a rescue.
  const util::TemporaryFolder folder(fs::temp_directory_path(), "dbbackup-rescue");
  const util::SystemClock clock;
  repository::Settings settings;
  settings.index_file = folder.path() / "index.db";
  settings.owner = "rescue";
  settings.writable = false;
  const auto repository = repository::Repository::open(
      storage::open_store(url, store_options(values), storage::StoreMode::read),
      unlock_from(values), settings, clock);
  const auto found =
      artifacts(*repository, values.count("database") ? values["database"].as<std::string>() : "");
  if (verb == "list") return list(found);
  return restore(*repository, choose(found, values["artifact"].as<std::string>()), to, request);
}

}  // namespace dbbackup::daemon
