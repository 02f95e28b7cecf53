// Several clients working off a list together.
//
// Threads: run() joins its threads. Errors: the first failure, which stops the others.
#pragma once

#include <functional>
#include <vector>

#include "engine/mongodb/client.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mongodb {

using Unit = std::function<void(Client& client, const std::stop_token& stop)>;

// Units begin in their order, on up to `workers` threads with a client each.
void work_off(const Endpoint& endpoint, Client::Purpose purpose, unsigned workers,
              const std::vector<Unit>& units, const util::Task& task);

}  // namespace dbbackup::engine::mongodb
