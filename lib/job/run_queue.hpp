// Which of the waiting runs starts next, and what the others wait for.
//
// A run needs a slot of the daemon, its lane to itself, and a share of its database host and of its
// repository where those are limited. Two promises, kept together:
//
//   - Fair between groups (a job, or whatever else asks for runs): each run gets a tag when it is
//     added, one more than the group's tag before it, and at least the tag of the run that started
//     last; the smallest tag goes first. A group that queued a thousand runs thus takes turns with
//     one that queued a single run later. (Source: start-time fair queueing, Goyal, Vin and Cheng,
//     1996, with all runs of equal weight.)
//   - Nobody starves: a run that only a limit holds back reserves its share of host and repository,
//     so that later runs cannot take it away again and again. A run whose lane is taken reserves
//     nothing: it waits for one particular run to end, and then has its old place.
//
// Threads: none of its own; the Runner guards it. Owns: what it was told about the runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dbbackup::job {

struct RunLimits {
  std::size_t runs = 2;            // at once, in all
  std::size_t per_host = 0;        // of databases on one host; 0: no limit
  std::size_t per_repository = 0;  // 0: no limit
};

struct Needs {
  std::string group;
  std::string lane;        // for people: "job nightly"; empty: none
  std::string host;        // empty: none
  std::string repository;  // empty: none
};

class RunQueue {
 public:
  explicit RunQueue(RunLimits limits) : limits_(limits) {}

  // A delayed run is passed over until delay(id, false). Requires: the id is new here.
  void add(const std::string& id, Needs needs, bool delayed = false);
  void delay(const std::string& id, bool delayed);
  // Takes a waiting run out, or ends an executing one.
  void remove(const std::string& id);

  // The runs that may start now, in their order; from now on they are executing.
  std::vector<std::string> take();

  std::size_t executing() const { return executing_; }
  bool waiting(const std::string& id) const;
  // Of a waiting run that is not delayed: "run 01jd... to end (one run of job nightly at a time)".
  std::string waits_for(const std::string& id) const;

 private:
  using Position = std::pair<std::uint64_t, std::uint64_t>;  // tag, then order of arrival
  struct Entry {
    Needs needs;
    Position position;
    bool delayed = false;
    bool executes = false;
  };
  struct Group {
    std::uint64_t last_tag = 0;
    std::size_t waiting = 0;
  };
  using Counts = std::map<std::string, std::size_t>;

  void count(const Needs& needs, int change);
  void leave_queue(const Entry& entry);
  static bool full(std::size_t limit, const std::string& name, const Counts& used,
                   const Counts& reserved);

  const RunLimits limits_;
  std::map<std::string, Entry> entries_;
  std::map<Position, std::string> order_;     // of the waiting ones
  std::map<std::string, Group> groups_;       // that have a run waiting
  std::map<std::string, std::string> lanes_;  // taken: by which run
  Counts hosts_;
  Counts repositories_;
  std::size_t executing_ = 0;
  std::uint64_t last_started_tag_ = 0;
  std::uint64_t arrivals_ = 0;
};

}  // namespace dbbackup::job
