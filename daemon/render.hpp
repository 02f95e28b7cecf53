// The JSON forms of interface.md "JSON", in one place, so that every command shows a run or an
// artifact alike.
#pragma once

#include "catalog/catalog.hpp"
#include "job/runner.hpp"
#include "repository/manifest.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace dbbackup::daemon {

util::json::Value to_json(std::optional<util::TimePoint> time);
util::json::Object to_json(const catalog::Options& options);
util::json::Object to_json(const catalog::Database& database);
util::json::Object to_json(const catalog::Repository& repository);
util::json::Object to_json(const catalog::Job& job);
util::json::Object to_json(const catalog::Run& run);
// As above, with what a queued run waits for.
util::json::Object to_json(const job::Runner::Snapshot& snapshot);
util::json::Object to_json(const catalog::Event& event);
util::json::Object to_json(const catalog::LogLine& line);
util::json::Object to_json(const catalog::Artifact& artifact,
                           const std::vector<catalog::Hold>& holds);
util::json::Object to_json(const repository::StreamInfo& stream);
// progress{} of a run with its rate and what remains.
util::json::Object progress_json(const job::Runner::Snapshot& snapshot);

}  // namespace dbbackup::daemon
