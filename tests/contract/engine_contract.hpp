// What every engine must be able to do, whatever it talks to. An engine's test derives from
// EngineFixture and calls check_engine_contract() inside a TEST_CASE.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace dbbackup::test {

class EngineFixture {
 public:
  virtual ~EngineFixture() = default;
  // An engine on a fresh empty database, on one that does not exist yet but can be created, and on
  // one that is not there.
  virtual std::unique_ptr<engine::Engine> empty_database(const std::string& name) = 0;
  virtual std::unique_ptr<engine::Engine> new_target(const std::string& name) = 0;
  virtual std::unique_ptr<engine::Engine> missing_database() = 0;
  // Runs SQL on a database made by empty_database() or restored into new_target().
  virtual void execute(const std::string& name, const std::string& sql) = 0;
  virtual std::string quote(const std::string& identifier) = 0;
};

void check_engine_contract(EngineFixture& fixture);

}  // namespace dbbackup::test
