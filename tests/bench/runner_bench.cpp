// What the Runner itself costs: a queue that drains in turns, and memory over many runs.
//
// Usage: runner_bench [RUNS [JOBS]]
//
// RUNS runs of JOBS jobs (default 1000 of 50) are queued at once, each job's in one go, and
// executed by four threads under limits per host and per repository; their verb ends at once,
// because no build knows their kind of store. Printed: runs per second, how far the job served most
// was ahead of the one served least, and the resident memory when a tenth, a half and all of them
// were done.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <thread>

#include "job/runner.hpp"
#include "job/scheduler.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup {
namespace {

constexpr std::size_t kThreads = 4;
// As many are queued at any time: what a daemon holds in memory grows with the queue, and that is
// not what is to be measured.
constexpr std::size_t kQueued = 1000;

class Pool {
 public:
  Pool() {
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  void post(std::function<void()> task) {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();
  }
  // Nothing is worked on before.
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    posted_.notify_all();
  }

 private:
  void work(const std::stop_token& stop) {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        if (!posted_.wait(lock, stop, [&] { return open_ && !tasks_.empty(); })) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }
  std::mutex mutex_;
  std::condition_variable_any posted_;
  std::deque<std::function<void()>> tasks_;
  bool open_ = false;
  std::vector<std::jthread> threads_;
};

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return static_cast<std::size_t>(std::stoul(line.substr(6)));
  }
  return 0;
}

std::string job_name(std::size_t number) { return util::cat("job-", number); }

void fill(catalog::Catalog& catalog, const util::Clock& clock, std::size_t jobs) {
  for (std::size_t i = 0; i < 4; ++i) {
    catalog::Repository repository;
    repository.name = util::cat("repository-", i);
    repository.url = "floppy://a";
    repository.repository_id = repository.name;
    repository.created = clock.now();
    catalog.add_repository(repository);
    catalog::Database database;
    database.name = util::cat("database-", i);
    database.engine = "sqlite";
    database.url = util::cat("sqlite:///nowhere/", i, ".db");
    database.created = clock.now();
    catalog.add_database(database, {});
  }
  for (std::size_t i = 0; i < jobs; ++i) {
    catalog::Job job;
    job.name = job_name(i);
    job.database = util::cat("database-", i % 4);
    job.repository = util::cat("repository-", i / 4 % 4);
    job.created = clock.now();
    catalog.add_job(job);
  }
}

int run_bench(std::size_t runs, std::size_t jobs) {
  const util::SystemClock clock;
  util::UlidSource ids(clock);
  const util::TemporaryFolder folder("/dev/shm", "runner-bench");
  const crypto::Secret key(util::Bytes(32, 1));
  catalog::Catalog catalog(folder.path() / "control.db", key, clock);
  fill(catalog, clock, jobs);
  job::Repositories repositories(catalog, key,
                                 {.index_folder = folder.path(), .daemon_id = "bench"}, clock);

  std::mutex mutex;
  std::condition_variable changed;
  std::size_t done = 0;
  std::map<std::string, std::size_t> served;
  for (std::size_t i = 0; i < jobs; ++i) served[job_name(i)] = 0;
  std::size_t widest = 0;
  const auto ended = [&](const util::LogFields& fields) {
    const std::scoped_lock lock(mutex);
    ++done;
    for (const auto& [name, value] : fields) {
      if (name == "job") ++served[value];
    }
    if (done <= kQueued / 2) {  // while every job has runs in the queue
      const auto [least, most] =
          std::minmax_element(served.begin(), served.end(),
                              [](const auto& a, const auto& b) { return a.second < b.second; });
      widest = std::max(widest, most->second - least->second);
    }
    changed.notify_all();
  };
  job::Services services{.catalog = catalog,
                         .repositories = repositories,
                         .clock = clock,
                         .ids = ids,
                         .log = util::Logger::to_sink([&](util::Severity, std::string_view line,
                                                          const util::LogFields& fields) {
                           if (line.starts_with("backup failed")) ended(fields);
                         }),
                         .scratch_folder = folder.path() / "scratch",
                         .protected_files = {},
                         .parallel = 1,
                         .host = "bench"};
  Pool pool;
  job::Runner runner(services, [&](std::function<void()> task) { pool.post(std::move(task)); },
                     {.limits = {.runs = kThreads, .per_host = 3, .per_repository = 2}});

  const util::SteadyPoint begin = clock.steady_now();
  std::size_t next_report = std::max<std::size_t>(runs / 10, 1);
  for (std::size_t i = 0; i < runs; ++i) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return i - done < kQueued; });
    }
    const std::size_t in_batch = i % kQueued;  // each job's in one go
    job::Run run = job::run_of_job(catalog.job(job_name(in_batch * jobs / kQueued)), "full");
    runner.submit(run, {});
    if (i + 1 == std::min(runs, kQueued)) pool.open();  // with the whole queue to choose from
    const std::scoped_lock lock(mutex);
    if (done >= next_report) {
      std::printf("after %8zu runs: %6zu KiB resident\n", done, resident_kib());
      next_report = done + std::max<std::size_t>(runs / 5, 1);
    }
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done == runs; });
  }
  const double seconds = std::chrono::duration<double>(clock.steady_now() - begin).count();
  std::printf("after %8zu runs: %6zu KiB resident\n", done, resident_kib());
  std::printf("%zu runs of %zu jobs in %.1f s, %.0f a second\n", runs, jobs, seconds,
              static_cast<double>(runs) / seconds);
  std::printf("widest lead of one job over another within the first %zu: %zu runs\n", kQueued / 2,
              widest);
  runner.drain();
  runner.wait_until_idle();
  return 0;
}

}  // namespace
}  // namespace dbbackup

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // so that a long one can be watched
  const auto number = [&](int index, std::int64_t otherwise) {
    const auto given = index < argc ? dbbackup::util::parse_int(argv[index]) : std::nullopt;
    return static_cast<std::size_t>(std::max<std::int64_t>(given.value_or(otherwise), 1));
  };
  return dbbackup::run_bench(number(1, 1000), number(2, 50));
}
