// Several connections working off one list.
//
// Threads: each connection belongs to one worker at a time; a Run is made and used on one thread.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "engine/mysql/connection.hpp"

namespace dbbackup::engine::mysql {

// What one member of the engine does on a server: how to open connections, and one stop for all of
// them, requested by the task's stop or by the first failure.
class Run {
 public:
  Run(const Place& place, const std::string& password, util::Task& task);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Connections that the stop interrupts.
  const Door& door() const { return door_; }
  // Connections for tidying up, which it does not.
  Door quiet_door() const { return {door_.login, door_.password, nullptr}; }
  std::stop_source& stop() { return stop_; }

 private:
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> outer_;
  Door door_;
};

using Crew = std::vector<std::unique_ptr<Connection>>;
using Unit = std::function<void(Connection& connection)>;

// Works the units off in order, one thread per connection. The first failure stops the run and is
// thrown; a cancelled task is told as such.
void run_units(Run& run, Crew& crew, const std::vector<Unit>& units, const util::Task& task);

}  // namespace dbbackup::engine::mysql
