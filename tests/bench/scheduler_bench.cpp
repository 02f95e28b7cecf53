// What schedules cost: one next fire, and an hour of a daemon's timer over 10,000 of them while
// none is due. Exit status 1 when a goal is missed.
//   scheduler_bench [schedules=10000]
#include <ctime>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "crypto/cipher.hpp"
#include "job/scheduler.hpp"
#include "support/manual_clock.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace {

using namespace dbbackup;

constexpr double kMostMicroseconds = 20;
constexpr double kMostPercent = 1;
constexpr std::array kZones{"UTC",        "Europe/Berlin",       "America/New_York",
                            "Asia/Tokyo", "Australia/Lord_Howe", "America/Santiago"};

double cpu_seconds() {
  std::timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

const util::TimePoint kNow = util::parse_time("2026-11-21T12:00:00Z").value();

// The mean over 2,000 fires in a row, in the zone where they take longest.
bool measure_next_fire() {
  bool good = true;
  for (const char* text : {"30 2 * * *", "*/5 * * * *", "0 4 * * sun", "0 0 L * *", "0 9 * * mon#5",
                           "0 3 13 * fri", "@every 90m", "0 0 29 2 *"}) {
    const auto expression = schedule::CronExpression::parse(text);
    double slowest = 0;
    for (const char* name : kZones) {
      const auto zone = schedule::TimeZone::load(name);
      const double begun = cpu_seconds();
      util::TimePoint time = kNow;
      int count = 0;
      for (; count < 2000; ++count) {
        const auto fire = schedule::next_after(expression, time, zone, kNow);
        if (!fire) break;
        time = fire->at;
      }
      slowest = std::max(slowest, (cpu_seconds() - begun) * 1e6 / count);
    }
    good = good && slowest < kMostMicroseconds;
    std::printf("next fire of %-14s %6.2f us\n", text, slowest);
  }
  std::printf("wanted < %.0f us: %s\n", kMostMicroseconds, good ? "ok" : "MISSED");
  return good;
}

bool measure_idle(int schedules) {
  const util::TemporaryFolder folder("/dev/shm", "scheduler-bench");
  test::ManualClock clock(kNow);
  const crypto::Secret key = crypto::random_key();
  util::UlidSource ids(clock);
  catalog::Catalog catalog(folder.path() / "control.db", key, clock);
  job::Repositories repositories(catalog, key,
                                 {.index_folder = folder.path(), .daemon_id = "bench"}, clock);
  job::Services services{
      .catalog = catalog,
      .repositories = repositories,
      .clock = clock,
      .ids = ids,
      .log = util::Logger::to_sink([](util::Severity, std::string_view, const util::LogFields&) {}),
      .scratch_folder = folder.path(),
      .protected_files = {},
      .parallel = 1,
      .host = "bench"};
  catalog::Repository repository;
  repository.name = "main";
  repository.url = "file:///backup";
  catalog.add_repository(repository);
  for (int number = 0; number < schedules; ++number) {
    catalog::Schedule schedule;
    schedule.name = util::cat("schedule-", number);
    schedule.kind = catalog::ScheduleKind::check;
    schedule.target = "main";
    schedule.cron = util::cat(number % 60, " ", 2 + number % 7, " * * *");
    schedule.timezone = "UTC";
    schedule.created = kNow;
    catalog.add_schedule(schedule);
  }
  job::Runner runner(
      services, [](const std::function<void()>&) {}, 4);
  job::Scheduler scheduler(services, runner);
  double begun = cpu_seconds();
  scheduler.tick();
  std::printf("%d schedules: first look %.0f ms\n", schedules, (cpu_seconds() - begun) * 1e3);
  begun = cpu_seconds();
  int ticks = 0;
  for (const util::TimePoint end = kNow + std::chrono::hours(1); clock.now() < end; ++ticks) {
    clock.advance(scheduler.tick());
  }
  const double idle = cpu_seconds() - begun;
  const double percent = idle / 3600 * 100;
  std::printf("an idle hour: %d looks, %.3f ms, %.5f %% of a core; wanted < %.0f %%: %s\n", ticks,
              idle * 1e3, percent, kMostPercent, percent < kMostPercent ? "ok" : "MISSED");
  return percent < kMostPercent;
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = measure_next_fire();
  const bool idle = measure_idle(argc > 1 ? std::atoi(argv[1]) : 10000);
  return quick && idle ? 0 : 1;
}
