#include "job/restore.hpp"

#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
struct Wanted {
  catalog::Database target;
  std::string artifact;  // id; empty for a file
  job::Request request;
};

Wanted read(App& app, const json::Object& params) {
  Wanted wanted;
  const std::string artifact = text(params, "artifact");
  const std::string file = text(params, "file");
  if (artifact.empty() == file.empty()) {
    throw Error(ErrorCode::usage, "name either an artifact or --file",
                "for example: dbbackupctl restore latest --to NAME");
  }
  wanted.target = app.catalog().database(text(params, "to"));
  if (!artifact.empty()) wanted.artifact = app.catalog().artifact(artifact).id;
  if (!file.empty()) wanted.request.file = absolute_path(file, "file");
  wanted.request.target = wanted.target.name;
  wanted.request.mode = json::get_string(params, "mode").value_or("create");
  wanted.request.integrity_check = !flag(params, "no_integrity_check");
  wanted.request.passphrase = secret(params, "passphrase");
  wanted.request.scope.include = json::get_strings(params, "include");
  wanted.request.scope.parallel =
      static_cast<unsigned>(parallel(params, app.services().parallel));
  return wanted;
}

// What would be done, and what stands in the way of it, without changing anything.
json::Value plan(App& app, const json::Object& params, std::stop_token stop) {
  const Wanted wanted = read(app, params);
  util::Progress progress;
  util::Task task(std::move(stop), progress, {});
  const job::Source source = job::open_source(app.services(), wanted.artifact, wanted.request);
  job::require_same_engine(*source.reader, wanted.target);
  const engine::RestorePlan plan =
      app.services()
          .engine_for(wanted.target)
          ->plan_restore(*source.reader, job::restore_request(wanted.request), task);

  json::Array refusals;
  try {
    job::require_restore_allowed(wanted.target, app.clock().now());
  } catch (const Error& error) {
    refusals.push_back(json::Object{{"message", error.message()}, {"hint", error.hint()}});
  }
  if (!plan.target_empty && wanted.request.mode == "create") {
    refusals.push_back(
        json::Object{{"message", cat("database ", wanted.target.name, " is not empty")},
                     {"hint", "use --mode replace or --mode append"}});
  }
  return wrapped("plan", {{"artifact", source.reader->id()},
                          {"target", wanted.target.name},
                          {"url", wanted.target.url},
                          {"mode", wanted.request.mode},
                          {"steps", json::from_strings(plan.steps)},
                          {"tables", json::from_strings(plan.tables)},
                          {"target_exists", plan.target_exists},
                          {"target_empty", plan.target_empty},
                          {"refusals", std::move(refusals)}});
}

json::Value start(App& app, const json::Object& params) {
  const Wanted wanted = read(app, params);
  job::require_restore_allowed(wanted.target, app.clock().now());
  if (wanted.request.mode == "replace" && !flag(params, "yes")) {
    throw Error(ErrorCode::refused,
                cat("--mode replace destroys what ", wanted.target.name, " holds"),
                "confirm with --yes");
  }
  catalog::Run run;
  run.kind = catalog::RunKind::restore;
  run.database = wanted.target.name;
  run.artifact = wanted.artifact;
  if (!wanted.artifact.empty()) {
    run.repository = app.catalog().artifact(wanted.artifact).repository;
  }
  return started(app, std::move(run), wanted.request);
}
}  // namespace

void add_restore_commands(App& app, control::Handlers& handlers) {
  handlers["restore.plan"] = [&app](const json::Object& params, control::Session& session) {
    return plan(app, params, session.gone());
  };
  handlers["restore.start"] = [&app](const json::Object& params, control::Session&) {
    return start(app, params);
  };
}

}  // namespace dbbackup::daemon
