// The handlers behind the command table, one file per noun. Each adds its own to the map.
//
// A handler gets parameters that were already checked against the table and answers the JSON the
// table declares. Threads: handlers run on the handler pool, several at once.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "control/server.hpp"
#include "daemon/app.hpp"
#include "job/request.hpp"
#include "util/json.hpp"

namespace dbbackup::daemon {

void add_database_commands(App& app, control::Handlers& handlers);
void add_repository_commands(App& app, control::Handlers& handlers);
void add_job_commands(App& app, control::Handlers& handlers);
void add_schedule_commands(App& app, control::Handlers& handlers);
void add_run_commands(App& app, control::Handlers& handlers);
void add_artifact_commands(App& app, control::Handlers& handlers);
void add_restore_commands(App& app, control::Handlers& handlers);
void add_service_commands(App& app, control::Handlers& handlers);

control::Handlers all_handlers(App& app);

// -- parameters
std::string text(const util::json::Object& params, std::string_view name);  // "" when absent
bool flag(const util::json::Object& params, std::string_view name);
std::optional<util::Milliseconds> duration(const util::json::Object& params, std::string_view name);
std::optional<util::TimePoint> time(const util::json::Object& params, std::string_view name);
// Workers of one run; `otherwise` when absent or 0. Errors: usage outside of 0 to 64.
std::int64_t parallel(const util::json::Object& params, std::int64_t otherwise);
crypto::Secret secret(const util::json::Object& params, std::string_view name);
catalog::Options options(const util::json::Object& params);
// "orders=id > 5" pairs. Errors: usage.
catalog::Options where(const util::json::Object& params);
// `given` over `kept`; an empty value removes the option.
catalog::Options merged(catalog::Options kept, const catalog::Options& given);

// -- replies
util::json::Value wrapped(std::string_view noun, util::json::Object object);
util::json::Value listed(std::string_view nouns, util::json::Array list);
util::json::Value removed(const std::string& name);
// Queues the run and answers it.
util::json::Value started(App& app, catalog::Run run, const job::Request& request);

// Before `name` is removed: no schedule of these kinds may run it. Errors: conflict naming them.
void require_unscheduled(App& app, std::string_view noun,
                         std::initializer_list<catalog::ScheduleKind> kinds,
                         const std::string& name);

// An absolute path. Errors: usage.
std::string absolute_path(const std::string& path, std::string_view parameter);

}  // namespace dbbackup::daemon
