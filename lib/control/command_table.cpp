#include <algorithm>
#include <iterator>

#include "control/command.hpp"
#include "control/table/rows.hpp"

namespace dbbackup::control {

const std::vector<Command>& command_table() {
  static const std::vector<Command> all = [] {
    std::vector<Command> commands;
    for (const auto rows : {table::database_commands, table::repository_commands,
                            table::job_commands, table::schedule_commands, table::run_commands,
                            table::artifact_commands, table::service_commands}) {
      std::ranges::move(rows(), std::back_inserter(commands));
    }
    return commands;
  }();
  return all;
}

const Command* find_command(std::string_view name) {
  const auto& all = command_table();
  const auto found = std::ranges::find(all, name, &Command::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace dbbackup::control
