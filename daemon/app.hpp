// The composition root: a plain struct of owners, in the order in which they depend on each other.
//
// Threads: the event loop runs on the main thread; handlers and the scheduler on `handlers`; runs
// on `workers`.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "catalog/catalog.hpp"
#include "config/daemon_config.hpp"
#include "control/event_loop.hpp"
#include "control/server.hpp"
#include "daemon/access.hpp"
#include "daemon/options.hpp"
#include "daemon/state.hpp"
#include "job/repositories.hpp"
#include "job/runner.hpp"
#include "job/scheduler.hpp"
#include "job/services.hpp"
#include "util/log.hpp"
#include "util/time.hpp"
#include "util/ulid.hpp"

namespace dbbackup::daemon {

class App {
 public:
  // Opens the state, makes it consistent after a crash, and starts to listen; nothing fires before
  // run(). Errors: config_invalid, conflict (another daemon has the state folder), and those of the
  // rooms.
  App(const Options& options, config::DaemonConfig config, util::Logger log);
  ~App();

  // Serves until it is told to stop by a signal. Returns when every run has ended.
  // Errors: conflict, when another daemon has taken the state folder over meanwhile.
  void run();

  // What the command handlers use.
  const util::Clock& clock() const { return clock_; }
  catalog::Catalog& catalog() { return *catalog_; }
  job::Repositories& repositories() { return *repositories_; }
  job::Services& services() { return *services_; }
  job::Runner& runner() { return *runner_; }
  job::Scheduler& scheduler() { return *scheduler_; }
  util::TimePoint started() const { return started_; }
  std::string default_timezone() const;
  const std::filesystem::path& socket() const { return config_.socket; }
  // Has the timer look at the schedules again; after any change to them.
  void wake_scheduler();
  // Reads the configuration again. Errors: config_invalid; the old one stays in force.
  void reload();

 private:
  void ensure_default_repository();
  void fence_off_earlier_processes();
  void compare_with_repositories();
  void start_listening();
  void on_signal(int signal);
  void begin_stop();
  void tick();
  void arm_timer(util::Milliseconds delay);
  void watch();
  void watch_runs();
  void renew_lease();
  void publish_status();
  void trim();

  Options options_;
  config::DaemonConfig config_;
  mutable std::mutex config_mutex_;  // guards timezone_, which reload changes
  std::string timezone_;
  util::Logger log_;
  util::SystemClock clock_;
  util::UlidSource ids_{clock_};
  util::TimePoint started_;
  StateFolder state_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<job::Repositories> repositories_;
  std::unique_ptr<job::Services> services_;
  control::EventLoop loop_;
  std::unique_ptr<control::WorkerPool> workers_;
  std::unique_ptr<job::Runner> runner_;
  std::unique_ptr<job::Scheduler> scheduler_;
  std::unique_ptr<control::WorkerPool> handlers_;
  AccessPolicy access_;
  std::unique_ptr<control::Server> server_;
  std::atomic<bool> stopping_{false};
  std::stop_source trimming_;
  std::atomic<bool> lease_lost_{false};
  std::jthread stopper_;
};

}  // namespace dbbackup::daemon
