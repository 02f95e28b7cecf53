#include "job/rebuild.hpp"

#include <algorithm>
#include <map>

#include "job/control_backup.hpp"
#include "job/origin.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using catalog::Catalog;
using catalog::ScheduleKind;
using util::cat;
using util::Error;
namespace json = util::json;

namespace {
// More history than this is not worth its memory.
constexpr std::int64_t kMostHistory = 20'000;

std::string setting_of(const std::string& repository_id) { return cat("rebuild:", repository_id); }

class Rebuilding {
 public:
  Rebuilding(Services& services, const std::string& repository, std::vector<std::string>& warnings)
      : services_(services),
        catalog_(services.catalog),
        repository_(catalog_.repository(repository)),
        warnings_(warnings) {}

  void from_control(Catalog& old) {
    std::string old_name;  // of this repository, over there
    for (const catalog::Repository& each : old.repositories()) {
      if (each.repository_id == repository_.repository_id) old_name = each.name;
    }
    for (const catalog::Job& job : old.jobs()) {
      if (job.repository != old_name) continue;
      add(old.database(job.database));
      add(job);
    }
    for (const catalog::Schedule& schedule : old.schedules()) add(schedule, old_name);
    restore_marks(old);
    restore_history(old, old_name);
  }

  void from_manifests(const std::vector<repository::Manifest>& manifests) {
    std::vector<const repository::Manifest*> newest_first;
    for (const repository::Manifest& manifest : manifests) newest_first.push_back(&manifest);
    std::sort(newest_first.begin(), newest_first.end(),
              [](const auto* a, const auto* b) { return a->sealed > b->sealed; });
    for (const repository::Manifest* manifest : newest_first) {
      if (std::optional<catalog::Database> database = database_from(manifest->origin)) {
        database->name = manifest->database;
        database->engine = manifest->engine;
        add(*database);
      }
      std::optional<catalog::Job> job = job_from(manifest->origin);
      if (!job || manifest->job.empty()) continue;
      job->name = manifest->job;
      job->database = manifest->database;
      add(*job);
    }
  }

  json::Object counts() const {
    return {{"databases", databases_},
            {"jobs", jobs_},
            {"schedules", schedules_},
            {"holds", holds_},
            {"runs", runs_}};
  }

 private:
  // Whatever cannot be added is told, and the others follow.
  void attempt(const std::string& what, const std::function<void()>& add_it) {
    try {
      add_it();
    } catch (const Error& error) {
      warnings_.push_back(cat(what, " was not made again: ", error.message()));
    }
  }

  void add(catalog::Database database) {
    if (catalog_.find_database(database.name)) return;
    attempt(cat("database ", database.name), [&] {
      const bool had_password = database.has_password;
      database.restore_allowed_until.reset();
      database.created = services_.clock.now();
      catalog_.add_database(database, {});
      ++databases_;
      if (had_password) {
        warnings_.push_back(cat("the password of database ", database.name,
                                " is lost; set it: dbbackupctl database set-password ",
                                database.name));
      }
    });
  }

  void add(catalog::Job job) {
    if (catalog_.find_job(job.name)) return;
    attempt(cat("job ", job.name), [&] {
      job.repository = repository_.name;
      job.created = services_.clock.now();
      catalog_.add_job(job);
      ++jobs_;
    });
  }

  void add(catalog::Schedule schedule, const std::string& old_name) {
    const bool of_job = schedule.kind == ScheduleKind::job || schedule.kind == ScheduleKind::drill;
    if (!of_job) {
      if (schedule.target != old_name) return;
      schedule.target = repository_.name;
    } else {
      const auto job = catalog_.find_job(schedule.target);
      if (!job || job->repository != repository_.name) return;
    }
    if (catalog_.find_schedule(schedule.name)) return;
    attempt(cat("schedule ", schedule.name), [&] {
      schedule.paused = true;
      schedule.handled_until = services_.clock.now();
      schedule.last_run_at.reset();
      schedule.last_run.clear();
      catalog_.add_schedule(schedule);
      ++schedules_;
    });
  }

  // Proofs, acceptances and holds: what the manifests cannot know.
  void restore_marks(Catalog& old) {
    for (const catalog::Artifact& artifact : catalog_.artifacts({.repository = repository_.name})) {
      std::optional<catalog::Artifact> known = old.find_artifact(artifact.id);
      if (!known) continue;
      known->repository = repository_.name;
      catalog_.put_artifact(*known);
      if (!catalog_.holds(artifact.id).empty()) continue;
      for (const catalog::Hold& hold : old.holds(artifact.id)) {
        catalog_.add_hold(artifact.id, hold.reason, hold.until);
        ++holds_;
      }
    }
  }

  void restore_history(Catalog& old, const std::string& old_name) {
    std::vector<catalog::Run> runs = old.runs({.limit = kMostHistory});
    std::erase_if(runs, [&](const catalog::Run& run) { return run.repository != old_name; });
    for (catalog::Run& run : runs) run.repository = repository_.name;
    runs_ += catalog_.adopt_history(runs, old.events({}, kMostHistory));
  }

  Services& services_;
  Catalog& catalog_;
  const catalog::Repository repository_;
  std::vector<std::string>& warnings_;
  std::size_t databases_ = 0;
  std::size_t jobs_ = 0;
  std::size_t schedules_ = 0;
  std::size_t holds_ = 0;
  std::size_t runs_ = 0;
};
}  // namespace

bool needs_rebuild(Catalog& catalog, const std::string& repository_id) {
  return catalog.setting(setting_of(repository_id)) == "pending";
}

void note_needs_rebuild(Catalog& catalog, const std::string& repository_id) {
  catalog.set_setting(setting_of(repository_id), "pending");
}

json::Object rebuild(Services& services, const std::string& repository,
                     const std::vector<repository::Manifest>& manifests,
                     std::vector<std::string>& warnings, util::Task& task) {
  Rebuilding rebuilding(services, repository, warnings);
  util::create_private_folder(services.scratch_folder);
  const util::TemporaryFolder scratch(services.scratch_folder, "drill-control-");
  const auto copy = scratch.path() / "control.db";
  try {
    if (fetch_control(services, repository, copy, task)) {
      Catalog old(copy, Catalog::Foreign{}, services.clock);
      rebuilding.from_control(old);
    }
  } catch (const Error& error) {
    if (error.code() == util::ErrorCode::cancelled) throw;
    warnings.push_back(cat("the backup of the control database cannot be used: ", error.message()));
  }
  // Also what was set up after that backup was made.
  rebuilding.from_manifests(manifests);
  catalog::Catalog& catalog = services.catalog;
  catalog.set_setting(setting_of(catalog.repository(repository).repository_id), "done");
  return rebuilding.counts();
}

}  // namespace dbbackup::job
