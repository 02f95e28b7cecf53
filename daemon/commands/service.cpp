#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "util/error.hpp"

namespace dbbackup::daemon {

namespace json = util::json;

namespace {
json::Object daemon_facts(App& app) {
  const util::TimePoint now = app.clock().now();
  return {{"version", DBBACKUP_VERSION},
          {"started_at", to_json(app.started())},
          {"uptime_seconds", static_cast<double>((now - app.started()).count()) / 1000.0},
          {"scheduler_lag_seconds", app.scheduler().lag_seconds()}};
}

json::Object job_facts(const catalog::JobSummary& job, util::TimePoint now,
                       std::optional<util::TimePoint> retry, std::optional<util::TimePoint> next) {
  json::Object object{
      {"name", job.name},
      {"state", job.last_state ? json::Value(catalog::run_state_name(*job.last_state))
                               : json::Value("never run")},
      {"last_run", job.last_run.empty() ? json::Value(nullptr) : json::Value(job.last_run)},
      {"last_success_at", to_json(job.last_success_at)},
      {"age_seconds", nullptr},
      {"max_age_seconds", nullptr},
      {"retry_at", to_json(retry)},
      {"next_run_at", to_json(next)}};
  if (job.last_success_at) {
    object["age_seconds"] = static_cast<double>((now - *job.last_success_at).count()) / 1000.0;
  }
  if (job.max_age) {
    object["max_age_seconds"] = static_cast<double>(job.max_age->count()) / 1000.0;
  }
  return object;
}

json::Object repository_facts(App& app, const catalog::Catalog::RepositoryUsage& usage) {
  json::Object object{{"name", usage.name},
                      {"reachable", false},
                      {"problem", nullptr},
                      {"artifacts", usage.artifacts},
                      {"stored_bytes", usage.stored_bytes},
                      {"free_bytes", nullptr}};
  try {
    const auto repository = app.repositories().get(usage.name);
    if (const auto space = repository->store().space()) object["free_bytes"] = space->free;
    object["reachable"] = true;
  } catch (const util::Error& error) {
    object["problem"] = error.message();
  }
  return object;
}

json::Value status(App& app) {
  const util::TimePoint now = app.clock().now();
  json::Array jobs;
  const auto next_runs = app.scheduler().next_runs_by_job();
  const auto retries = app.runner().retries_by_job();
  const auto found = [](const std::map<std::string, util::TimePoint>& times,
                        const std::string& job) {
    const auto it = times.find(job);
    return it == times.end() ? std::nullopt : std::optional(it->second);
  };
  for (const catalog::JobSummary& job : app.catalog().job_summaries()) {
    jobs.push_back(job_facts(job, now, found(retries, job.name), found(next_runs, job.name)));
  }
  json::Array repositories;
  for (const auto& usage : app.catalog().repository_usage()) {
    repositories.push_back(repository_facts(app, usage));
  }
  const auto [running, queued] = app.catalog().running_and_queued();
  return json::Object{
      {"schema_version", 1},
      {"daemon", daemon_facts(app)},
      {"jobs", std::move(jobs)},
      {"runs",
       json::Object{{"running", running}, {"queued", queued}, {"retrying", retries.size()}}},
      {"repositories", std::move(repositories)}};
}

json::Value events(App& app, const json::Object& params, control::Session& session) {
  const auto since = time(params, "since");
  const auto limit = json::get_int(params, "limit");
  if (!flag(params, "follow")) {
    json::Array list;
    for (const auto& event : app.catalog().events(since, limit)) list.push_back(to_json(event));
    return listed("events", std::move(list));
  }
  std::string last;
  std::optional<util::TimePoint> from = since;
  for (bool first = true; !session.gone().stop_requested(); first = false) {
    const auto fresh = app.catalog().events(from, first ? limit : std::nullopt, last);
    for (const catalog::Event& event : fresh) {
      session.notify("event", to_json(event));
      last = event.id;
    }
    app.runner().wait_for_change(std::chrono::seconds(1), session.gone());
  }
  return listed("events", {});
}
}  // namespace

void add_service_commands(App& app, control::Handlers& handlers) {
  handlers["status.show"] = [&app](const json::Object&, control::Session&) { return status(app); };
  handlers["events.list"] = [&app](const json::Object& params, control::Session& session) {
    return events(app, params, session);
  };
  handlers["daemon.version"] = [&app](const json::Object&, control::Session&) {
    return wrapped("daemon", daemon_facts(app));
  };
  handlers["daemon.reload"] = [&app](const json::Object&, control::Session&) {
    app.reload();
    return json::Value(json::Object{{"schema_version", 1}, {"reloaded", true}});
  };
}

}  // namespace dbbackup::daemon
