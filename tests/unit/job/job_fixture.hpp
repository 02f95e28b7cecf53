// What runs need around them: a catalog, a clock that the test moves, and a pool that works when it
// is told to.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "job/repositories.hpp"
#include "job/runner.hpp"
#include "job/scheduler.hpp"
#include "job/services.hpp"
#include "unit/catalog/catalog_fixture.hpp"
#include "util/log.hpp"

namespace dbbackup::test {

// Stands for the daemon's worker pool: what is posted waits until the test runs it.
class ManualPool {
 public:
  job::Runner::Post post() {
    return [this](std::function<void()> work) { work_.push_back(std::move(work)); };
  }
  std::size_t size() const { return work_.size(); }
  void run_one() {
    const auto work = std::move(work_.front());
    work_.pop_front();
    work();
  }
  void run_all() {
    while (!work_.empty()) run_one();
  }
  // As when the process dies.
  void forget() { work_.clear(); }

 private:
  std::deque<std::function<void()>> work_;
};

struct JobFixture : CatalogFixture {
  ManualPool pool;
  std::mutex lines_mutex;
  std::vector<std::string> lines;                               // of the log
  std::function<void(std::string_view)> on_line = [](auto) {};  // sees each line as it comes
  job::Repositories repositories{
      catalog, key, {.index_folder = folder.path(), .daemon_id = "test"}, clock};
  job::Services services{.catalog = catalog,
                         .repositories = repositories,
                         .clock = clock,
                         .ids = ids,
                         .log = util::Logger::to_sink(
                             [this](util::Severity, std::string_view line, const util::LogFields&) {
                               {
                                 const std::scoped_lock lock(lines_mutex);
                                 lines.emplace_back(line);
                               }
                               on_line(line);
                             }),
                         .scratch_folder = folder.path() / "scratch",
                         .protected_files = {file.string()},
                         .parallel = 1,
                         .host = "test-host",
                         // Backups of the control database only where a test is about them.
                         .maintenance = {.control_backup_every = util::Milliseconds(0)}};

  // A job whose runs fail at once, because no build knows its repository's kind of store: what
  // becomes of runs can then be tested without any data.
  void add_hopeless_job(const std::string& name) {
    if (!catalog.find_database("shop")) add_database("shop");
    if (!catalog.find_repository("main")) {
      catalog::Repository repository;
      repository.name = "main";
      repository.url = "floppy://a";
      repository.repository_id = "id-of-main";
      repository.created = clock.now();
      catalog.add_repository(repository);
    }
    add_job(name);
  }

  static catalog::Run run_of(const std::string& job) {
    catalog::Run run;
    run.job = job;
    run.database = "shop";
    run.repository = "main";
    run.type = "full";
    return run;
  }

  bool logged(std::string_view part) const {
    for (const std::string& line : lines) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  catalog::RunState state_of(const catalog::Run& run) { return catalog.run(run.id).state; }
};

}  // namespace dbbackup::test
