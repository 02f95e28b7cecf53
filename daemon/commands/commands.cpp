#include "daemon/commands/commands.hpp"

#include <algorithm>

#include "daemon/render.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

control::Handlers all_handlers(App& app) {
  control::Handlers handlers;
  add_database_commands(app, handlers);
  add_repository_commands(app, handlers);
  add_job_commands(app, handlers);
  add_schedule_commands(app, handlers);
  add_run_commands(app, handlers);
  add_artifact_commands(app, handlers);
  add_restore_commands(app, handlers);
  add_service_commands(app, handlers);
  return handlers;
}

std::string text(const json::Object& params, std::string_view name) {
  return json::get_string(params, name).value_or("");
}

bool flag(const json::Object& params, std::string_view name) {
  return json::get_bool(params, name).value_or(false);
}

std::optional<util::Milliseconds> duration(const json::Object& params, std::string_view name) {
  const auto given = json::get_string(params, name);
  return given ? util::parse_duration(*given) : std::nullopt;
}

std::optional<util::TimePoint> time(const json::Object& params, std::string_view name) {
  const auto given = json::get_string(params, name);
  return given ? util::parse_time(*given) : std::nullopt;
}

std::int64_t parallel(const json::Object& params, std::int64_t otherwise) {
  constexpr std::int64_t kMost = 64;  // as the configuration's key
  const std::int64_t given = json::get_int(params, "parallel").value_or(otherwise);
  if (given < 0 || given > kMost) {
    throw Error(ErrorCode::usage, cat("--parallel takes a number from 0 to ", kMost));
  }
  return given == 0 ? otherwise : given;
}

crypto::Secret secret(const json::Object& params, std::string_view name) {
  const auto* value = json::find(params, name);
  if (value == nullptr || !value->is_string()) return {};
  return crypto::Secret::from_text(std::string_view(value->get_string()));
}

catalog::Options options(const json::Object& params) {
  catalog::Options pairs;
  if (const json::Object* given = json::get_object(params, "options")) {
    for (const auto& [name, value] : *given) {
      pairs.emplace_back(std::string(name), std::string(value.as_string()));
    }
  }
  return pairs;
}

catalog::Options where(const json::Object& params) {
  catalog::Options pairs;
  for (const std::string& given : json::get_strings(params, "where")) {
    const std::size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == given.size()) {
      throw Error(ErrorCode::usage, cat("--where '", given, "' is not STREAM=CONDITION"),
                  "for example --where \"orders=id > 1000\"");
    }
    pairs.emplace_back(given.substr(0, equals), given.substr(equals + 1));
  }
  return pairs;
}

catalog::Options merged(catalog::Options kept, const catalog::Options& given) {
  for (const auto& [name, value] : given) {
    std::erase_if(kept, [&](const auto& pair) { return pair.first == name; });
    if (!value.empty()) kept.emplace_back(name, value);
  }
  return kept;
}

json::Value wrapped(std::string_view noun, json::Object object) {
  return json::Object{{"schema_version", 1}, {noun, std::move(object)}};
}

json::Value listed(std::string_view nouns, json::Array list) {
  return json::Object{{"schema_version", 1}, {nouns, std::move(list)}};
}

json::Value removed(const std::string& name) { return json::Object{{"removed", name}}; }

json::Value started(App& app, catalog::Run run, const job::Request& request) {
  return json::Object{{"run", to_json(app.runner().submit(std::move(run), request))}};
}

// A schedule that vanishes without a word is a backup that nobody misses until it is needed.
void require_unscheduled(App& app, std::string_view noun,
                         std::initializer_list<catalog::ScheduleKind> kinds,
                         const std::string& name) {
  std::vector<std::string> names;
  for (const catalog::Schedule& schedule : app.catalog().schedules()) {
    const bool of_kind = std::find(kinds.begin(), kinds.end(), schedule.kind) != kinds.end();
    if (of_kind && schedule.target == name) names.push_back(schedule.name);
  }
  if (names.empty()) return;
  throw Error(ErrorCode::conflict,
              cat(noun, " ", name, " is used by schedules: ", util::join(names, ", ")),
              cat("dbbackupctl schedule remove ", names.front()));
}

std::string absolute_path(const std::string& path, std::string_view parameter) {
  if (path.empty() || path.front() != '/') {
    throw Error(ErrorCode::usage, cat("parameter ", parameter, " must be an absolute path"),
                "the daemon opens it, and its working folder is not yours");
  }
  return path;
}

}  // namespace dbbackup::daemon
