#include <map>

#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "job/restore.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
json::Object shown(App& app, const catalog::Artifact& artifact) {
  return to_json(artifact, app.catalog().holds(artifact.id));
}

catalog::Artifact named(App& app, const json::Object& params, std::string_view name = "artifact") {
  return app.catalog().artifact(text(params, name));
}

repository::Manifest manifest_of(App& app, const catalog::Artifact& artifact) {
  const auto manifest = app.repositories().get(artifact.repository)->find(artifact.id);
  if (!manifest) {
    throw Error(
        ErrorCode::verification_failed,
        cat("the manifest of ", artifact.id, " is missing in repository ", artifact.repository),
        cat("dbbackupctl repository rescan ", artifact.repository));
  }
  return *manifest;
}

json::Value show(App& app, const json::Object& params) {
  const catalog::Artifact artifact = named(app, params);
  json::Object object = shown(app, artifact);
  const repository::Manifest manifest = manifest_of(app, artifact);
  json::Array streams;
  for (const auto& stream : manifest.streams) streams.push_back(to_json(stream));
  object["streams"] = std::move(streams);
  json::Array tables;
  for (const auto& table : manifest.summary.proof) {
    tables.push_back(json::Object{
        {"name", table.name}, {"rows", table.hash.rows()}, {"hash", table.hash.hex()}});
  }
  object["tables"] = std::move(tables);
  object["root_hash"] = manifest.root_hash;
  return wrapped("artifact", std::move(object));
}

struct Content {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::string hash;
};

// What two artifacts are compared by: their tables where the proof names them, and their streams.
std::map<std::string, Content> contents(const repository::Manifest& manifest) {
  std::map<std::string, Content> found;
  for (const auto& stream : manifest.streams) {
    found[stream.name] = {stream.rows, stream.bytes, stream.hash};
  }
  for (const auto& table : manifest.summary.proof) {
    found.try_emplace("data/" + table.name, Content{table.hash.rows(), 0, table.hash.hex()});
  }
  return found;
}

json::Value diff(App& app, const json::Object& params) {
  const catalog::Artifact a = named(app, params, "a");
  const catalog::Artifact b = named(app, params, "b");
  const auto old_content = contents(manifest_of(app, a));
  const auto new_content = contents(manifest_of(app, b));
  json::Array changes;
  const auto row = [&](const std::string& name, std::string_view change, const Content* x,
                       const Content* y) {
    json::Object object{{"name", name}, {"change", change}};
    object["rows_a"] = x ? json::Value(x->rows) : json::Value(nullptr);
    object["rows_b"] = y ? json::Value(y->rows) : json::Value(nullptr);
    object["bytes_a"] = x ? json::Value(x->bytes) : json::Value(nullptr);
    object["bytes_b"] = y ? json::Value(y->bytes) : json::Value(nullptr);
    changes.push_back(std::move(object));
  };
  for (const auto& [name, content] : old_content) {
    const auto it = new_content.find(name);
    if (it == new_content.end()) {
      row(name, "removed", &content, nullptr);
    } else if (it->second.hash != content.hash) {
      row(name, "changed", &content, &it->second);
    }
  }
  for (const auto& [name, content] : new_content) {
    if (!old_content.contains(name)) row(name, "added", nullptr, &content);
  }
  return wrapped("diff", {{"a", a.id}, {"b", b.id}, {"streams", std::move(changes)}});
}

catalog::Run run_on(catalog::RunKind kind, const catalog::Artifact& artifact) {
  catalog::Run run;
  run.kind = kind;
  run.job = "";
  run.database = artifact.database;
  run.repository = artifact.repository;
  run.artifact = artifact.id;
  return run;
}

json::Value start_export(App& app, const json::Object& params) {
  job::Request request;
  request.format = text(params, "format");
  request.file = absolute_path(text(params, "to"), "to");
  request.scope.include = json::get_strings(params, "include");
  request.passphrase = secret(params, "passphrase");
  const bool whole = request.format == "native" || request.format == "archive";
  if (whole && !request.scope.include.empty()) {
    throw Error(ErrorCode::usage,
                cat("format ", request.format, " always holds the whole artifact"),
                "leave --include out, or use csv, json or sql");
  }
  if (!request.passphrase.empty() && request.format != "archive") {
    throw Error(ErrorCode::usage, cat("format ", request.format, " is not encrypted"),
                "only --format archive takes a passphrase");
  }
  return started(app, run_on(catalog::RunKind::export_, named(app, params)), request);
}

json::Value start_import(App& app, const json::Object& params) {
  catalog::Run run;
  run.kind = catalog::RunKind::import;
  run.repository =
      app.catalog().repository(json::get_string(params, "repository").value_or("default")).name;
  job::Request request;
  request.file = absolute_path(text(params, "file"), "file");
  request.passphrase = secret(params, "passphrase");
  return started(app, std::move(run), request);
}

json::Value remove(App& app, const json::Object& params) {
  const catalog::Artifact artifact = named(app, params);
  // The catalog first: it refuses while a hold is on it, in one transaction with forgetting it. Should the daemon die before the
  // manifest goes, the next start finds the artifact again.
  const auto repository = app.repositories().get(artifact.repository);
  app.catalog().remove_artifact(artifact.id);
  try {
    repository->remove(artifact.id);
  } catch (...) {
    app.catalog().put_artifact(artifact);
    throw;
  }
  return removed(artifact.id);
}
}  // namespace

void add_artifact_commands(App& app, control::Handlers& handlers) {
  handlers["artifact.list"] = [&app](const json::Object& params, control::Session&) {
    catalog::ArtifactFilter filter;
    filter.limit = json::get_int(params, "limit");
    filter.database = text(params, "database");
    filter.job = text(params, "job");
    filter.control = flag(params, "control");
    json::Array list;
    for (const auto& artifact : app.catalog().artifacts(filter)) {
      list.push_back(shown(app, artifact));
    }
    if (list.empty() && !filter.database.empty()) {
      app.catalog().require_known_database(filter.database);
    }
    if (list.empty() && !filter.job.empty()) app.catalog().require_known_job(filter.job);
    return listed("artifacts", std::move(list));
  };
  handlers["artifact.show"] = [&app](const json::Object& params, control::Session&) {
    return show(app, params);
  };
  handlers["artifact.diff"] = [&app](const json::Object& params, control::Session&) {
    return diff(app, params);
  };
  handlers["artifact.verify"] = [&app](const json::Object& params, control::Session&) {
    return started(app, run_on(catalog::RunKind::verify, named(app, params)), {});
  };
  handlers["artifact.drill"] = [&app](const json::Object& params, control::Session&) {
    job::Request request;
    request.target = text(params, "scratch");
    request.scope.parallel = app.services().parallel;
    if (!request.target.empty()) {
      const catalog::Database target = app.catalog().database(request.target);
      // Beside a database of a server the drill makes one of its own.
      if (!engine::scratch_needs_server(engine::parse_url(target.url).engine)) {
        job::require_restore_allowed(target, app.clock().now());
      }
    }
    return started(app, run_on(catalog::RunKind::drill, named(app, params)), request);
  };
  handlers["artifact.export"] = [&app](const json::Object& params, control::Session&) {
    return start_export(app, params);
  };
  handlers["artifact.import"] = [&app](const json::Object& params, control::Session&) {
    return start_import(app, params);
  };
  handlers["artifact.hold"] = [&app](const json::Object& params, control::Session&) {
    const catalog::Artifact artifact = named(app, params);
    app.catalog().add_hold(artifact.id, text(params, "reason"), time(params, "until"));
    return wrapped("artifact", shown(app, artifact));
  };
  handlers["artifact.release"] = [&app](const json::Object& params, control::Session&) {
    const catalog::Artifact artifact = named(app, params);
    app.catalog().release(artifact.id);
    return wrapped("artifact", shown(app, artifact));
  };
  handlers["artifact.accept"] = [&app](const json::Object& params, control::Session&) {
    const catalog::Artifact artifact = named(app, params);
    if (app.catalog().accept_artifact(artifact.id).empty() && artifact.suspicions.empty()) {
      throw Error(ErrorCode::refused, cat("artifact ", artifact.id, " is not suspicious"),
                  "there is nothing to accept");
    }
    return wrapped("artifact", shown(app, app.catalog().artifact(artifact.id)));
  };
  handlers["artifact.remove"] = [&app](const json::Object& params, control::Session&) {
    return remove(app, params);
  };
}

}  // namespace dbbackup::daemon
