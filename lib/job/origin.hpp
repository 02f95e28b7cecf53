// How a database and its job were set up, as JSON that travels in every manifest, without secrets:
// what `repository rescan` on an empty machine makes them from.
//
// Threads: pure functions.
#pragma once

#include <optional>

#include "catalog/types.hpp"
#include "util/json.hpp"

namespace dbbackup::job {

util::json::Object origin_of(const catalog::Database& database,
                             const std::optional<catalog::Job>& job);

// What the origin says, as far as it says it: members of other versions are passed over. Names,
// engine, repository and time are the caller's to fill in.
std::optional<catalog::Database> database_from(const util::json::Object& origin);
std::optional<catalog::Job> job_from(const util::json::Object& origin);

}  // namespace dbbackup::job
