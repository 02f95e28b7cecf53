// Who starts next: limits, lanes, turns between groups, and that nobody starves.
#include "job/run_queue.hpp"

#include <catch2/catch.hpp>

#include "util/text.hpp"

namespace dbbackup::job {
namespace {

using Ids = std::vector<std::string>;

Needs of(const std::string& group, const std::string& host = "", const std::string& repository = "",
         const std::string& lane = "") {
  return {.group = group, .lane = lane, .host = host, .repository = repository};
}

}  // namespace

TEST_CASE("run queue: no more at once than allowed, in order of arrival", "[job]") {
  RunQueue queue({.runs = 2});
  for (const char* id : {"1", "2", "3"}) queue.add(id, of(id));
  CHECK(queue.take() == Ids{"1", "2"});
  CHECK(queue.take().empty());
  CHECK(queue.executing() == 2);
  CHECK(queue.waits_for("3") == "one of the 2 running runs to end (runs_at_once: 2)");
  queue.remove("1");
  CHECK(queue.take() == Ids{"3"});
}

TEST_CASE("run queue: one of a lane at a time, others pass", "[job]") {
  RunQueue queue({.runs = 8});
  queue.add("1", of("a", "", "", "job a"));
  queue.add("2", of("a", "", "", "job a"));
  queue.add("3", of("b", "", "", "job b"));
  CHECK(queue.take() == Ids{"1", "3"});
  CHECK(queue.waits_for("2") == "run 1 to end (one run of job a at a time)");
  queue.remove("1");
  CHECK(queue.take() == Ids{"2"});
}

TEST_CASE("run queue: limits per host and per repository", "[job]") {
  RunQueue queue({.runs = 8, .per_host = 1, .per_repository = 2});
  queue.add("1", of("a", "db1", "main"));
  queue.add("2", of("b", "db1", "other"));
  queue.add("3", of("c", "db2", "main"));
  queue.add("4", of("d", "db3", "main"));
  queue.add("5", of("e", "", "other"));
  CHECK(queue.take() == Ids{"1", "3", "5"});
  CHECK(queue.waits_for("2") == "a run on host db1 to end (runs_per_host: 1)");
  CHECK(queue.waits_for("4") == "a run in repository main to end (runs_per_repository: 2)");
  queue.remove("1");
  CHECK(queue.take() == Ids{"2", "4"});
}

TEST_CASE("run queue: a delayed run is passed over until it is woken", "[job]") {
  RunQueue queue({.runs = 1});
  queue.add("1", of("a"), true);
  queue.add("2", of("b"));
  CHECK(queue.take() == Ids{"2"});
  queue.remove("2");
  CHECK(queue.take().empty());
  queue.delay("1", false);
  CHECK(queue.take() == Ids{"1"});
}

TEST_CASE("run queue: a group with many runs takes turns with one that came later", "[job]") {
  RunQueue queue({.runs = 1});
  for (int i = 0; i < 1000; ++i) queue.add(util::cat("many-", i), of("many"));
  REQUIRE(queue.take() == Ids{"many-0"});
  queue.add("late-0", of("late"));
  queue.add("late-1", of("late"));
  Ids order;
  for (std::string running = "many-0"; order.size() < 6; running = order.back()) {
    queue.remove(running);
    const Ids next = queue.take();
    REQUIRE(next.size() == 1);
    order.push_back(next.front());
  }
  CHECK(order == Ids{"late-0", "many-1", "late-1", "many-2", "many-3", "many-4"});
}

TEST_CASE("run queue: what needs two scarce things gets them although others want one each",
          "[job]") {
  RunQueue queue({.runs = 8, .per_host = 1, .per_repository = 1});
  queue.add("host", of("a", "db", ""));
  REQUIRE(queue.take() == Ids{"host"});
  queue.add("both", of("b", "db", "main"));
  CHECK(queue.take().empty());
  // Without a reservation these two kinds would take turns for ever: one of the two things is
  // always taken.
  queue.add("repository", of("c", "", "main"));
  CHECK(queue.take().empty());
  CHECK(queue.waits_for("repository") == "earlier runs in the queue");
  queue.add("host-2", of("a", "db", ""));
  queue.remove("host");
  CHECK(queue.take() == Ids{"both"});
  queue.remove("both");
  CHECK(queue.take() == Ids{"repository", "host-2"});
}

TEST_CASE("run queue: a thousand runs of a hundred jobs drain in turns", "[job]") {
  constexpr int kJobs = 100;
  constexpr int kEach = 10;
  RunQueue queue({.runs = 3, .per_host = 2, .per_repository = 3});
  std::map<std::string, std::string> job_of;
  for (int job = 0; job < kJobs; ++job) {
    for (int i = 0; i < kEach; ++i) {  // each job in one go, the worst order
      const std::string id = util::cat(job, "-", i);
      job_of[id] = util::cat("job ", job);
      queue.add(id,
                of(job_of[id], util::cat("host", job % 7), util::cat("r", job % 5), job_of[id]));
    }
  }
  std::map<std::string, int> served;
  Ids running = queue.take();
  std::size_t done = 0;
  int widest = 0;
  while (!running.empty()) {
    ++done;
    ++served[job_of.at(running.front())];
    int least = kEach;
    int most = 0;
    for (int job = 0; job < kJobs; ++job) {
      least = std::min(least, served[util::cat("job ", job)]);
      most = std::max(most, served[util::cat("job ", job)]);
    }
    widest = std::max(widest, most - least);
    queue.remove(running.front());
    running.erase(running.begin());
    for (const std::string& id : queue.take()) running.push_back(id);
  }
  CHECK(done == job_of.size());
  CHECK(widest <= 2);  // nobody is served a third time before everybody was served once
}

TEST_CASE("run queue: what is cancelled leaves nothing behind", "[job]") {
  RunQueue queue({.runs = 1});
  queue.add("1", of("a", "h", "r", "l"));
  queue.add("2", of("a", "h", "r", "l"));
  queue.take();
  CHECK(queue.waiting("2"));
  queue.remove("2");
  CHECK_FALSE(queue.waiting("2"));
  queue.remove("1");
  queue.remove("1");
  CHECK(queue.executing() == 0);
  queue.add("3", of("a", "h", "r", "l"));
  CHECK(queue.take() == Ids{"3"});
}

}  // namespace dbbackup::job
