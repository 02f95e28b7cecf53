#include "simulation/world.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::simulation {

using std::chrono::hours;
using std::chrono::minutes;
using util::cat;
using util::Milliseconds;
using util::Seconds;
using util::TimePoint;

namespace {
// Both hemispheres, half hours, changes of half an hour and of none, and both sides of the date
// line.
constexpr std::array kZones{"UTC",
                            "Europe/Berlin",
                            "Europe/Dublin",
                            "America/New_York",
                            "America/Los_Angeles",
                            "America/St_Johns",
                            "America/Santiago",
                            "Asia/Kolkata",
                            "Asia/Tokyo",
                            "Australia/Lord_Howe",
                            "Pacific/Auckland",
                            "Pacific/Apia"};
constexpr TimePoint kBegin = std::chrono::sys_days(std::chrono::year(2027) / 1 / 1);
constexpr std::size_t kRunsAtOnce = 40;

std::filesystem::path memory_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}
}  // namespace

World::World(const Plan& plan)
    : plan_(plan),
      random_(plan.seed),
      folder_(memory_folder(), "simulated-year"),
      clock_(kBegin),
      catalog_(folder_.path() / "control.db", key_, clock_),
      repositories_(catalog_, key_, {.index_folder = folder_.path(), .daemon_id = "simulation"},
                    clock_),
      services_{.catalog = catalog_,
                .repositories = repositories_,
                .clock = clock_,
                .ids = ids_,
                .log = util::Logger::to_sink(
                    [](util::Severity, std::string_view, const util::LogFields&) {}),
                .scratch_folder = folder_.path() / "scratch",
                .protected_files = {},
                .parallel = 1,
                .host = "simulation"},
      invariants_(catalog_, kBegin, kBegin + hours(24) * plan.days) {
  add_schedules();
  next_event_ = clock_.steady_now() + duration(hours(1), hours(6));
}

Milliseconds World::duration(Milliseconds least, Milliseconds most) {
  return Milliseconds(
      std::uniform_int_distribution<std::int64_t>(least.count(), most.count())(random_));
}

void World::add_schedules() {
  catalog::Database database;
  database.name = "shop";
  database.engine = "sqlite";
  database.url = "sqlite:///data/shop.db";
  catalog_.add_database(database, {});
  catalog::Repository repository;
  repository.name = "main";
  repository.url = "file:///backup";
  catalog_.add_repository(repository);
  for (int number = 0; number < plan_.schedules; ++number) {
    catalog::Schedule schedule;
    schedule.name = cat("schedule-", number);
    // Every fifth shares its job with the one before, so that their runs meet.
    schedule.target = cat("job-", number % 5 == 4 ? number - 1 : number);
    if (!catalog_.find_job(schedule.target)) {
      catalog::Job job;
      job.name = schedule.target;
      job.database = "shop";
      job.repository = "main";
      catalog_.add_job(job);
    }
    std::optional<FixedTime> fixed = FixedTime{chance(24), chance(60)};
    if (chance(3) == 0) fixed->hour = chance(4);  // where clocks are changed
    const int kind = chance(20);
    if (kind < 9) fixed->weekday = chance(7);
    if (kind == 9 || kind == 10) fixed->day = 1 + chance(28);
    const auto field = [](int value) {
      return value < 0 ? std::string("*") : std::to_string(value);
    };
    schedule.cron =
        cat(fixed->minute, " ", fixed->hour, " ", field(fixed->day), " * ", field(fixed->weekday));
    if (kind == 11) {
      schedule.cron = cat(fixed->minute, " */12 * * *");
      fixed.reset();
    }
    schedule.timezone = kZones[static_cast<std::size_t>(number) % kZones.size()];
    shelves_.try_emplace(schedule.target, schedule.target, policy(),
                         schedule::TimeZone::load(schedule.timezone));
    if (chance(4) == 0) schedule.jitter = minutes(1 + chance(30));
    schedule.catch_up = chance(3) != 0;
    schedule.queue_overlap = chance(3) == 0;
    if (chance(6) == 0) {
      const int opens = chance(24);
      const auto hour = [](int value) {
        return cat(value % 24 < 10 ? "0" : "", value % 24, ":00");
      };
      schedule.windows = {cat(hour(opens), "-", hour(opens + 2 + chance(6)))};
      if (chance(3) == 0) schedule.windows.push_back(cat(hour(opens + 11), "-", hour(opens + 13)));
    }
    schedule.created = kBegin;
    catalog_.add_schedule(schedule);
    invariants_.watch(schedule, fixed);
    names_.push_back(schedule.name);
  }
}

// As the daemon does at its start.
void World::start_process() {
  runner_ = std::make_unique<job::Runner>(
      services_, [this](std::function<void()> work) { begin(std::move(work)); }, kRunsAtOnce,
      [this](job::Services&, job::Run& run, const job::Request&, util::Task&) {
        return perform(run);
      });
  tally_.interrupted += static_cast<int>(catalog_.mark_interrupted("the process died").size());
  const std::vector<job::Run> queued = catalog_.runs({.unfinished = true});
  for (auto run = queued.rbegin(); run != queued.rend(); ++run) runner_->resume(*run);
  scheduler_ = std::make_unique<job::Scheduler>(services_, *runner_);
}

void World::begin(std::function<void()> work) {
  const bool long_one = chance(12) == 0;
  const Milliseconds takes =
      long_one ? duration(hours(1), hours(5)) : duration(Seconds(20), minutes(40));
  under_way_.push(
      {clock_.steady_now() + takes, clock_.steady_now(), clock_.now(), std::move(work)});
}

// The verb of every run: it is called when the run's time is over, and tells how it went.
job::RunState World::perform(job::Run& run) {
  ++tally_.runs;
  run.started_at = ending_->begun;
  invariants_.ran(run, ending_->begun, ending_->begun_steady, ending_->ends);
  Shelf& shelf = shelves_.at(run.job);
  const int outcome = chance(20);
  if (outcome == 0) {
    shelf.thin(clock_.now(), "the newest run failed");
    throw util::Error(util::ErrorCode::unavailable, "the server is away");
  }
  const bool partial = outcome == 1;
  ++tally_.sealed;
  shelf.seal({.created = clock_.now(),
              .partial = partial,
              .proved = !partial && chance(10) == 0,
              .held_until = chance(40) == 0 ? clock_.now() + hours(24) * (1 + chance(60))
                                            : TimePoint::min()});
  shelf.thin(clock_.now(), partial ? "the newest run is partial" : "");
  return partial ? job::RunState::partial : job::RunState::succeeded;
}

repository::RetentionPolicy World::policy() {
  switch (chance(5)) {
    case 0:
      return {.last = 3, .daily = 7};
    case 1:
      return {.daily = 7, .weekly = 4, .monthly = 6};
    case 2:
      return {.last = 1, .within = hours(24) * 10};
    case 3:
      return {.hourly = 12, .weekly = 8, .yearly = 2};
    default:
      return {.last = 5};
  }
}

Tally World::tally() const {
  Tally tally = tally_;
  for (const auto& [job, shelf] : shelves_) tally.expired += shelf.removed();
  return tally;
}

void World::finish_work() {
  while (!under_way_.empty() && under_way_.top().ends <= clock_.steady_now()) {
    const Work work = under_way_.top();
    under_way_.pop();
    ending_ = &work;
    work.work();
    ending_ = nullptr;
  }
}

// kill -9: what runs is gone, and the catalog is what it is. A run that was under way is `running`
// there or still `queued`, as the instant of death may have it.
void World::crash() {
  ++tally_.crashes;
  invariants_.crashed(clock_.steady_now());
  std::set<std::string> seen;
  const std::vector<job::Run> unfinished = catalog_.runs({.unfinished = true});
  for (auto run = unfinished.rbegin(); run != unfinished.rend(); ++run) {
    if (!seen.insert(run->job).second || chance(2) == 0) continue;
    job::Run started = *run;
    started.state = job::RunState::running;
    started.started_at = clock_.now();
    catalog_.update_run(started);
  }
  under_way_ = {};
  scheduler_.reset();
  runner_.reset();
  if (chance(3) == 0) {
    const TimePoint from = clock_.now();
    clock_.advance(duration(minutes(1), chance(8) == 0 ? hours(70) : hours(5)));
    invariants_.kept_from_all(from, clock_.now());
  }
  start_process();
}

// An administrator, or NTP after a while: the clock is set wrong, or right again.
void World::set_clock() {
  const TimePoint from = clock_.now();
  Milliseconds step = -clock_error_;
  if (step == Milliseconds(0)) {
    step = duration(minutes(1), chance(4) == 0 ? hours(50) : hours(3));
    if (chance(2) == 0) step = -std::min<Milliseconds>(step, hours(6));
  }
  clock_error_ += step;
  clock_.set(from + step);
  ++(step > Milliseconds(0) ? tally_.set_forward : tally_.set_back);
  if (step < Milliseconds(0)) invariants_.planned_anew();
  invariants_.kept_from_all(std::min(from, from + step), std::max(from, from + step));
}

void World::pause_one() {
  const std::string name = names_[static_cast<std::size_t>(chance(plan_.schedules))];
  catalog::Schedule schedule = catalog_.schedule(name);
  if (schedule.paused) return;
  schedule.paused = true;
  catalog_.update_schedule(schedule);
  invariants_.paused(name, true);
  const TimePoint from = clock_.now();
  const util::SteadyPoint until = clock_.steady_now() + duration(minutes(1), hours(60));
  ++tally_.pauses;
  paused_.push_back({name, from, until});
}

// What the command `schedule resume` does, for those whose time has come.
void World::resume_paused() {
  std::erase_if(paused_, [&](const Paused& paused) {
    if (paused.until > clock_.steady_now()) return false;
    const TimePoint now = clock_.now();
    catalog_.set_handled(paused.name, now);
    catalog::Schedule schedule = catalog_.schedule(paused.name);
    schedule.paused = false;
    catalog_.update_schedule(schedule);
    invariants_.kept_from(paused.name, std::min(paused.from, now), now);
    invariants_.paused(paused.name, false);
    return true;
  });
}

void World::something_happens() {
  next_event_ = clock_.steady_now() + duration(minutes(10), hours(48));
  switch (chance(6)) {
    case 0:
    case 1:
      crash();
      break;
    case 2: {
      // Suspended: the wall clock goes on, the time that the process counts does not.
      ++tally_.sleeps;
      const TimePoint from = clock_.now();
      clock_.set(from + duration(minutes(1), hours(12)));
      invariants_.kept_from_all(from, clock_.now());
      break;
    }
    case 3:
      set_clock();
      break;
    default:
      pause_one();
  }
}

void World::look() {
  const std::vector<job::Run> runs = scheduler_->run_due();
  invariants_.looked(*scheduler_, runs, clock_.now());
}

void World::live() {
  start_process();
  const TimePoint end = kBegin + hours(24) * plan_.days;
  TimePoint next_day = kBegin;
  while (clock_.now() < end) {
    ++tally_.steps;
    look();
    Milliseconds step = scheduler_->tick();
    const auto until = [&](util::SteadyPoint point) {
      return std::chrono::ceil<Milliseconds>(point - clock_.steady_now());
    };
    if (!under_way_.empty()) step = std::min(step, until(under_way_.top().ends));
    step = std::min(step, until(next_event_));
    clock_.advance(std::max(step, Milliseconds(1)));
    finish_work();
    resume_paused();
    if (next_event_ <= clock_.steady_now()) something_happens();
    if (clock_.now() >= next_day) {
      next_day = clock_.now() + hours(24);
      catalog_.trim_history({.keep_runs = hours(24 * 30), .keep_logs = hours(24 * 30)}, {});
      invariants_.once_a_day(clock_.now());
    }
  }
  look();
  invariants_.at_the_end(clock_.now());
}

}  // namespace dbbackup::simulation
