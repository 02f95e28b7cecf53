#include "daemon/app.hpp"

#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "crypto/cipher.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/service_manager.hpp"
#include "job/maintain.hpp"
#include "schedule/zone.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace fs = std::filesystem;
using util::cat;

namespace {
// Timers of the event loop.
enum Slot : int { kSchedulerSlot, kWatchdogSlot, kStatusSlot, kTrimSlot, kRunsSlot, kLeaseSlot };
constexpr util::Milliseconds kWatchRunsEvery = std::chrono::seconds(1);
constexpr util::Milliseconds kRenewLeaseEvery = std::chrono::seconds(5);
constexpr util::Milliseconds kStatusEvery = std::chrono::seconds(10);
constexpr util::Milliseconds kTrimEvery = std::chrono::hours(24);

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

// A name for this daemon in the owner objects of repositories. It comes from the key, so that it
// outlives a lost control database and two daemons never share one.
std::string daemon_id(const crypto::Secret& daemon_key) {
  return util::to_hex(crypto::derive(daemon_key, 1, "owner-id").reveal().first(10));
}

std::string zone_or_machine(const std::optional<std::string>& configured) {
  if (!configured) return schedule::TimeZone::of_machine().name();
  return schedule::TimeZone::load(*configured).name();
}
}  // namespace

App::App(const Options& options, config::DaemonConfig config, util::Logger log)
    : options_(options),
      config_(std::move(config)),
      timezone_(zone_or_machine(config_.timezone)),
      log_(std::move(log)),
      started_(clock_.now()),
      state_(config_.state_dir) {
  catalog_ =
      std::make_unique<catalog::Catalog>(state_.control_database(), state_.daemon_key(), clock_);
  const std::int64_t fence = catalog_->take_lease(state_.lock_identity());
  job::Repositories::Options repository_options;
  repository_options.index_folder = state_.index_folder();
  repository_options.daemon_id = daemon_id(state_.daemon_key());
  repository_options.session = ids_.next();
  repository_options.memory_bytes = config_.memory_limit;
  repository_options.maintenance_rate = config_.maintenance.rate;
  repositories_ = std::make_unique<job::Repositories>(*catalog_, state_.daemon_key(),
                                                      repository_options, clock_);
  services_ = std::make_unique<job::Services>(
      job::Services{.catalog = *catalog_,
                    .repositories = *repositories_,
                    .clock = clock_,
                    .ids = ids_,
                    .log = log_,
                    .scratch_folder = config_.scratch_path(),
                    .protected_files = {state_.control_database().string()},
                    .parallel = config_.parallel,
                    .host = host_name(),
                    .maintenance = {.reread_within = config_.maintenance.reread_within,
                                    .control_backup_every =
                                        config_.maintenance.control_backup_every},
                    .default_timezone = [this] { return default_timezone(); },
                    .fence = fence});
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(services_->scratch_folder, ignored)) {
    if (entry.path().filename().string().starts_with("drill-"))
      fs::remove_all(entry.path(), ignored);
  }
  workers_ = std::make_unique<control::WorkerPool>(config_.runs_at_once);
  runner_ = std::make_unique<job::Runner>(
      *services_, [this](std::function<void()> work) { workers_->post(std::move(work)); },
      job::RunnerOptions{.limits = {.runs = config_.runs_at_once,
                                    .per_host = config_.runs_per_host,
                                    .per_repository = config_.runs_per_repository},
                         .stall_timeout = config_.stall_timeout,
                         .hook_timeout = config_.hook_timeout});
  scheduler_ = std::make_unique<job::Scheduler>(*services_, *runner_);
  // One thread per connection: a client that follows a run keeps its thread, and must not keep
  // others waiting.
  handlers_ = std::make_unique<control::WorkerPool>(config_.control.connections + 1);

  ensure_default_repository();
  fence_off_earlier_processes();
  runner_->settle_interrupted();
  compare_with_repositories();
  start_listening();
}

App::~App() {
  if (server_) server_->stop();
  if (handlers_) handlers_->join();
  if (workers_) workers_->join();
}

void App::ensure_default_repository() {
  if (catalog_->setting("default_repository")) return;  // made before; perhaps removed on purpose
  if (!catalog_->find_repository("default")) {
    catalog::Repository record;
    record.name = "default";
    record.url = cat("file://", state_.default_repository().string());
    record.created = clock_.now();
    // The recovery key can be shown to nobody here, so its slot is useless: `repository key export`
    // makes one that is seen.
    const bool fresh = repositories_->add(record, {}, {}).has_value();
    if (fresh) {
      const auto repository = repositories_->get("default");
      for (const auto& slot : repository->key_slots()) {
        if (slot.kind == repository::SlotKind::recovery) repository->remove_key_slot(slot.id);
      }
    }
    log_.info("created repository default", {{"url", record.url}});
  }
  catalog_->set_setting("default_repository", "made");
}

// At every start, because the catalog may have missed an artifact in other ways than a crash: a
// full disk right after the manifest was written, or a repository that was away at the last start.
void App::compare_with_repositories() {
  for (const catalog::Repository& repository : catalog_->repositories()) {
    try {
      job::reconcile(*services_, repository.name);
    } catch (const util::Error& error) {
      log_.error(cat("cannot compare the catalog with the repository: ", error.message()),
                 {{"repository", repository.name}});
    }
  }
}

// Before anything is decided about the runs of an earlier process: one that is stopped and not dead
// must not seal what it has begun. A repository that is not there now, or read-only, is claimed
// with the first write.
void App::fence_off_earlier_processes() {
  for (const catalog::Repository& repository : catalog_->repositories()) {
    try {
      repositories_->get(repository.name)->claim();
    } catch (const util::Error& error) {
      log_.error(cat("cannot claim the repository: ", error.message()),
                 {{"repository", repository.name}});
    }
  }
}

void App::start_listening() {
  auto listener = inherited_listener();
  const bool inherited = listener.has_value();
  if (!inherited) listener = control::listen_unix(config_.socket.string());
  access_.set(config_.access);
  control::ServerLimits limits;
  limits.line_bytes = config_.control.line_limit;
  limits.connections = config_.control.connections;
  limits.idle = config_.control.idle_timeout;
  server_ = std::make_unique<control::Server>(
      loop_, *handlers_, std::move(*listener), all_handlers(*this),
      [this](uid_t uid, const std::vector<gid_t>& groups) { return access_.decide(uid, groups); },
      [this](const control::Caller& caller, const control::Command& command,
             const util::json::Object& params, std::string_view outcome) {
        catalog::Event event;
        event.uid = caller.uid;
        event.user = caller.user;
        event.pid = caller.pid;
        event.action = command.name;
        for (const control::Parameter& parameter : command.parameters) {
          if (parameter.positional) event.object = text(params, parameter.name);
          if (!event.object.empty()) break;
        }
        event.outcome = outcome;
        event.detail = util::json::write(params);
        catalog_->add_event(event);
      },
      limits, log_);
  log_.info("listening", {{"socket", inherited ? "passed by systemd" : config_.socket.string()}});
}

std::string App::default_timezone() const {
  const std::scoped_lock lock(config_mutex_);
  return timezone_;
}

void App::run() {
  loop_.on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) { on_signal(signal); });
  // Newest first as listed; they were queued the other way round.
  const std::vector<catalog::Run> queued = catalog_->runs({.unfinished = true});
  for (auto run = queued.rbegin(); run != queued.rend(); ++run) runner_->resume(*run);
  wake_scheduler();
  watch();
  watch_runs();
  renew_lease();
  publish_status();
  trim();
  catalog::Event event;
  event.action = "daemon.started";
  event.outcome = "ok";
  event.detail = DBBACKUP_VERSION;
  catalog_->add_event(event);
  log_.info(cat("dbbackupd ", DBBACKUP_VERSION, " started"), {{"state", state_.path().string()}});
  notify_ready("idle");
  loop_.run();
  if (lease_lost_) {
    throw util::Error(util::ErrorCode::conflict,
                      cat("another dbbackupd has taken over ", state_.path().string()),
                      "only one daemon may use a state folder");
  }
  catalog_->release_lease();
  log_.info("stopped");
}

void App::on_signal(int signal) {
  if (signal == SIGHUP) {
    handlers_->post([this] {
      try {
        reload();
      } catch (...) {
        log_.error(cat("configuration not reloaded: ", util::current_error().message()));
      }
    });
    return;
  }
  if (!stopping_.exchange(true)) {
    begin_stop();
  } else {
    log_.warn("second signal: cancelling running runs");
    runner_->cancel_all();
  }
}

void App::begin_stop() {
  log_.info(cat("stopping: waiting for ", runner_->running(),
                " running runs; a second signal cancels them"));
  notify_stopping();
  trimming_.request_stop();
  loop_.cancel_timer(kSchedulerSlot);
  runner_->drain();
  stopper_ = std::jthread([this] {
    runner_->wait_until_idle();
    server_->stop();
    loop_.stop();
  });
}

void App::wake_scheduler() {
  handlers_->post([this] { tick(); });
}

void App::tick() {
  if (stopping_) return;
  util::Milliseconds sleep = job::Scheduler::kLongestSleep;
  try {
    sleep = scheduler_->tick();
  } catch (const util::Error& error) {
    log_.error(cat("cannot look at the schedules: ", error.message()));
  }
  arm_timer(sleep);
}

void App::arm_timer(util::Milliseconds delay) {
  loop_.post([this, delay] {
    if (stopping_) return;
    loop_.set_timer(kSchedulerSlot, delay, [this] { wake_scheduler(); });
  });
}

// The watchdog hears from us only when both the event loop and the handler pool answer.
void App::watch() {
  const auto interval = watchdog_interval();
  if (!interval) return;
  loop_.set_timer(kWatchdogSlot, *interval / 2, [this] {
    handlers_->post([this] {
      notify_watchdog();
      loop_.post([this] { watch(); });
    });
  });
}

void App::watch_runs() {
  loop_.set_timer(kRunsSlot, kWatchRunsEvery, [this] {
    handlers_->post([this] {
      runner_->watch();
      loop_.post([this] { watch_runs(); });
    });
  });
}

// The heartbeat. Whoever has lost the lease stops at once: what it goes on with could not be
// recorded anyhow.
void App::renew_lease() {
  loop_.set_timer(kLeaseSlot, kRenewLeaseEvery, [this] {
    handlers_->post([this] {
      try {
        catalog_->renew_lease(runner_->executing());
      } catch (const util::Error& error) {
        log_.error(cat("cannot renew the lease: ", error.message()));
        if (error.code() == util::ErrorCode::conflict && !lease_lost_.exchange(true)) {
          if (!stopping_.exchange(true)) begin_stop();
          runner_->cancel_all();
        }
      }
      loop_.post([this] { renew_lease(); });
    });
  });
}

void App::publish_status() {
  loop_.set_timer(kStatusSlot, kStatusEvery, [this] {
    handlers_->post([this] {
      if (stopping_) return;
      const auto next = scheduler_->next_runs_by_job();
      const std::pair<const std::string, util::TimePoint>* first = nullptr;
      for (const auto& entry : next) {
        if (first == nullptr || entry.second < first->second) first = &entry;
      }
      std::string status = cat(runner_->running(), " running, ", next.size(), " scheduled jobs");
      if (first != nullptr) {
        status += cat(", next ", first->first, " at ", util::format_rfc3339(first->second));
      }
      notify_status(status);
      loop_.post([this] { publish_status(); });
    });
  });
}

void App::trim() {
  handlers_->post([this] {
    try {
      catalog_->trim_history({.keep_runs = config_.history.keep_runs,
                              .keep_logs = config_.history.keep_logs,
                              .keep_events = config_.history.keep_events,
                              .most_runs = config_.history.max_runs,
                              .most_events = config_.history.max_events},
                             trimming_.get_token());
    } catch (const util::Error& error) {
      log_.error(cat("cannot trim the history: ", error.message()));
    }
    loop_.post([this] { loop_.set_timer(kTrimSlot, kTrimEvery, [this] { trim(); }); });
  });
}

void App::reload() {
  notify_reloading();
  try {
    const config::DaemonConfig fresh = effective_config(options_);
    const std::string zone = zone_or_machine(fresh.timezone);
    log_.set_level(fresh.log_level);
    access_.set(fresh.access);
    {
      const std::scoped_lock lock(config_mutex_);
      timezone_ = zone;
    }
    config::DaemonConfig same = fresh;
    same.log_level = config_.log_level;
    same.access = config_.access;
    same.timezone = config_.timezone;
    if (!(same == config_)) {
      log_.warn("some changed settings take effect only after a restart");
    }
    log_.info("configuration reloaded");
  } catch (...) {
    notify_ready("the changed configuration is invalid; running with the old one");
    throw;
  }
  notify_ready("configuration reloaded");
}

}  // namespace dbbackup::daemon
