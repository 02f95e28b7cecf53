// The year of a daemon with 500 schedules in 12 zones, once per seed. A violated invariant, or a
// fault that never happened, fails the program and names the seed, with which it happens again.
//
// Usage: simulated_year [--schedules N] [--days N] [SEED...]
#include <chrono>
#include <iostream>
#include <string_view>
#include <vector>

#include "simulation/world.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace {

using namespace dbbackup;

void require_happened(std::string_view what, int count) {
  if (count > 0) return;
  throw simulation::Violation(util::cat("nothing was proved: never ", what));
}

void live(const simulation::Plan& plan) {
  const auto begun = std::chrono::steady_clock::now();
  simulation::World world(plan);
  world.live();
  const simulation::Tally tally = world.tally();
  const simulation::Invariants::Counts& counts = world.invariants().counts();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::cout << "seed " << plan.seed << ": " << plan.days << " days, " << plan.schedules
            << " schedules, " << tally.steps << " steps in " << took.count() << " s\n  "
            << counts.on_their_own << " times dealt with on their own (" << counts.skipped
            << " skipped: overlap), " << counts.joined << " together with a later one or left out, "
            << counts.waited << " waited for a window\n  " << tally.runs << " runs ended, "
            << tally.interrupted << " interrupted, " << tally.crashes << " crashes, "
            << tally.sleeps << " suspensions, clock set " << tally.set_forward << "x forward and "
            << tally.set_back << "x back, " << tally.pauses << " pauses\n  " << tally.sealed
            << " artifacts sealed, " << tally.expired << " removed by retention" << std::endl;
  require_happened("a crash", tally.crashes);
  require_happened("an interrupted run", tally.interrupted);
  require_happened("a suspension", tally.sleeps);
  require_happened("a clock set forward", tally.set_forward);
  require_happened("a clock set back", tally.set_back);
  require_happened("a pause", tally.pauses);
  require_happened("a removal by retention", static_cast<int>(tally.expired));
  require_happened("an overlap", counts.skipped);
  require_happened("a missed time", counts.joined);
  require_happened("a run that waited for its window", counts.waited);
}

}  // namespace

int main(int argc, char** argv) {
  simulation::Plan plan;
  std::vector<std::uint64_t> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool is_option = argument.starts_with("--");
    const auto value = util::parse_int(is_option && i + 1 < argc ? argv[i + 1] : argument);
    if (!value || *value < 1 || (is_option && argument != "--schedules" && argument != "--days")) {
      std::cerr << "usage: simulated_year [--schedules N] [--days N] [SEED...]\n";
      return 64;
    }
    if (!is_option) {
      seeds.push_back(static_cast<std::uint64_t>(*value));
      continue;
    }
    (argument == "--days" ? plan.days : plan.schedules) = static_cast<int>(*value);
    ++i;
  }
  if (seeds.empty()) seeds = {1};
  for (const std::uint64_t seed : seeds) {
    plan.seed = seed;
    try {
      live(plan);
    } catch (const std::exception& error) {
      std::cerr << "seed " << seed << ": " << error.what() << "\n";
      return 1;
    }
  }
}
