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
constexpr util::Milliseconds kBetweenProgress = std::chrono::seconds(1);

json::Value waits_for(const job::Runner::Snapshot& snapshot) {
  return snapshot.waits_for.empty() ? json::Value(nullptr) : json::Value(snapshot.waits_for);
}

// Sends lines from `sent` on; returns how many have been sent in all.
std::size_t send_new_lines(App& app, const std::string& run, std::size_t sent,
                           control::Session& session) {
  for (const catalog::LogLine& line : app.catalog().log(run, sent)) {
    json::Object object = to_json(line);
    object["run"] = run;
    session.notify("run.log", object);
    ++sent;
  }
  return sent;
}

json::Value wait(App& app, const json::Object& params, control::Session& session) {
  const std::string id = app.catalog().run(text(params, "run")).id;
  const bool follow = flag(params, "follow");
  const auto timeout = duration(params, "timeout");
  const util::SteadyPoint begin = app.clock().steady_now();
  util::SteadyPoint next_progress = begin;
  std::size_t sent = 0;
  while (true) {
    const job::Runner::Snapshot snapshot = app.runner().snapshot(id);
    if (follow) sent = send_new_lines(app, id, sent, session);
    if (catalog::is_ended(snapshot.run.state)) return wrapped("run", to_json(snapshot));
    const util::SteadyPoint now = app.clock().steady_now();
    if (session.gone().stop_requested()) {
      throw Error(ErrorCode::cancelled, cat("stopped waiting for run ", id, "; the run goes on"));
    }
    if (timeout && now - begin >= *timeout) {
      throw Error(ErrorCode::timed_out,
                  cat("run ", id, " is still ", catalog::run_state_name(snapshot.run.state)),
                  cat("it goes on; dbbackupctl run wait ", id));
    }
    if (now >= next_progress) {
      session.notify("run.progress", {{"run", id},
                                      {"state", catalog::run_state_name(snapshot.run.state)},
                                      {"waits_for", waits_for(snapshot)},
                                      {"progress", progress_json(snapshot)}});
      next_progress = now + kBetweenProgress;
    }
    auto pause = std::chrono::duration_cast<util::Milliseconds>(next_progress - now);
    if (timeout) {
      pause =
          std::min(pause, std::chrono::duration_cast<util::Milliseconds>(begin + *timeout - now));
    }
    app.runner().wait_for_change(std::max(pause, util::Milliseconds(1)), session.gone());
  }
}

json::Value log(App& app, const json::Object& params, control::Session& session) {
  const std::string id = app.catalog().run(text(params, "run")).id;
  std::size_t sent = 0;
  if (flag(params, "follow")) {
    while (!session.gone().stop_requested()) {
      const bool ended = catalog::is_ended(app.runner().snapshot(id).run.state);
      sent = send_new_lines(app, id, sent, session);
      if (ended) break;
      app.runner().wait_for_change(kBetweenProgress, session.gone());
    }
    return listed("lines", {});
  }
  json::Array lines;
  for (const auto& line : app.catalog().log(id)) lines.push_back(to_json(line));
  return listed("lines", std::move(lines));
}

json::Value list(App& app, const json::Object& params) {
  catalog::RunFilter filter;
  filter.limit = json::get_int(params, "limit");
  filter.job = text(params, "job");
  if (const auto state = json::get_string(params, "state")) {
    filter.state = catalog::run_state_from_name(*state);
  }
  json::Array runs;
  for (const catalog::Run& run : app.catalog().runs(filter)) {
    // Live numbers for what is still going on, and what it waits for.
    runs.push_back(catalog::is_ended(run.state) ? to_json(run)
                                                : to_json(app.runner().snapshot(run.id)));
  }
  if (runs.empty() && !filter.job.empty()) app.catalog().require_known_job(filter.job);
  return listed("runs", std::move(runs));
}
}  // namespace

void add_run_commands(App& app, control::Handlers& handlers) {
  handlers["run.list"] = [&app](const json::Object& params, control::Session&) {
    return list(app, params);
  };
  handlers["run.show"] = [&app](const json::Object& params, control::Session&) {
    const std::string id = app.catalog().run(text(params, "run")).id;
    return wrapped("run", to_json(app.runner().snapshot(id)));
  };
  handlers["run.log"] = [&app](const json::Object& params, control::Session& session) {
    return log(app, params, session);
  };
  handlers["run.cancel"] = [&app](const json::Object& params, control::Session&) {
    const std::string id = app.catalog().run(text(params, "run")).id;
    app.runner().cancel(id);
    return wrapped("run", to_json(app.runner().snapshot(id)));
  };
  handlers["run.wait"] = [&app](const json::Object& params, control::Session& session) {
    return wait(app, params, session);
  };
}

}  // namespace dbbackup::daemon
