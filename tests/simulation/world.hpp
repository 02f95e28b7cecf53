// A year of a daemon's life in seconds: the real Catalog (SQLite), Runner and Scheduler under a
// clock that the simulation moves, with runs that take simulated time and do nothing. The process
// crashes and comes back, the machine sleeps, clocks are set and schedules are paused, all by
// chance from one seed; Invariants watches every step.
//
// Threads: one. Errors: Violation, when an invariant does not hold.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"
#include "crypto/cipher.hpp"
#include "job/repositories.hpp"
#include "job/runner.hpp"
#include "job/scheduler.hpp"
#include "job/services.hpp"
#include "simulation/invariants.hpp"
#include "simulation/shelf.hpp"
#include "support/manual_clock.hpp"
#include "util/file.hpp"
#include "util/ulid.hpp"

namespace dbbackup::simulation {

struct Plan {
  std::uint64_t seed = 1;
  int schedules = 500;
  int days = 365;
};

// How often what happened; a fault that never happened proves nothing.
struct Tally {
  int runs = 0;
  int crashes = 0;
  int sleeps = 0;  // the machine was suspended
  int set_forward = 0;
  int set_back = 0;
  int pauses = 0;
  int interrupted = 0;
  std::size_t sealed = 0;
  std::size_t expired = 0;  // artifacts that retention removed
  long steps = 0;
};

class World {
 public:
  explicit World(const Plan& plan);
  void live();

  Tally tally() const;
  const Invariants& invariants() const { return invariants_; }

 private:
  struct Work {
    util::SteadyPoint ends;
    util::SteadyPoint begun_steady;
    util::TimePoint begun;
    std::function<void()> work;
    bool operator>(const Work& other) const { return ends > other.ends; }
  };

  struct Paused {
    std::string name;
    util::TimePoint from;
    util::SteadyPoint until;
  };

  void add_schedules();
  void start_process();
  void crash();
  void look();
  void finish_work();
  void something_happens();
  void set_clock();
  void pause_one();
  void resume_paused();
  job::RunState perform(job::Run& run);
  repository::RetentionPolicy policy();

  int chance(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }
  util::Milliseconds duration(util::Milliseconds least, util::Milliseconds most);
  void begin(std::function<void()> work);

  const Plan plan_;
  std::mt19937_64 random_;
  Tally tally_;
  util::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::Secret key_ = crypto::random_key();
  util::UlidSource ids_{clock_};
  catalog::Catalog catalog_;
  job::Repositories repositories_;
  job::Services services_;
  Invariants invariants_;
  std::unique_ptr<job::Runner> runner_;
  std::unique_ptr<job::Scheduler> scheduler_;
  std::priority_queue<Work, std::vector<Work>, std::greater<>> under_way_;
  const Work* ending_ = nullptr;  // whose verb is being called
  util::SteadyPoint next_event_;
  util::Milliseconds clock_error_{0};  // by how much the wall clock is set wrong
  std::vector<std::string> names_;
  std::map<std::string, Shelf> shelves_;  // by job
  std::vector<Paused> paused_;
};

}  // namespace dbbackup::simulation
