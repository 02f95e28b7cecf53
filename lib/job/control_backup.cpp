#include "job/control_backup.hpp"

#include "job/artifact_record.hpp"
#include "job/retention.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

namespace fs = std::filesystem;
using util::cat;

namespace {
bool due(Services& services, const std::string& repository) {
  const util::Milliseconds every = services.maintenance.control_backup_every;
  if (every.count() == 0) return false;
  const auto newest = services.catalog.artifacts(
      {.limit = 1, .database = std::string(catalog::kControlName), .repository = repository});
  if (newest.empty()) return true;
  const util::TimePoint now = services.clock.now();
  // One from the future: the clock was set back.
  return newest.front().created_at + every <= now || newest.front().created_at > now;
}

std::string sqlite_url(const fs::path& file) {
  std::string url = "sqlite://";
  for (const char c : file.string()) {
    if (c == '%') {
      url += "%25";
    } else if (c == '?') {
      url += "%3f";
    } else if (c == '#') {
      url += "%23";
    } else {
      url += c;
    }
  }
  return url;
}
}  // namespace

void back_up_control(Services& services, const std::string& repository_name, const std::string& run,
                     util::Task& task) {
  if (!due(services, repository_name)) return;
  util::create_private_folder(services.scratch_folder);
  const util::TemporaryFolder scratch(services.scratch_folder, "drill-control-");
  const fs::path copy = scratch.path() / "control.db";
  services.catalog.copy_to(copy);

  repository::ArtifactIdentity identity;
  identity.id = services.ids.next();
  identity.started = services.clock.now();
  identity.database = catalog::kControlName;
  identity.job = catalog::kControlName;
  identity.name = cat(identity.database, "@", services.host, "--", identity.id);
  identity.run = run;
  identity.engine = "sqlite";
  // Its own progress: the run counts what its user asked for.
  util::Progress progress;
  util::Task quiet(task.stop(), progress, {});
  const auto repository = services.repositories.get(repository_name);
  const auto writer = repository->begin(identity, quiet);
  const engine::Scope scope{.include = {}, .exclude = {}, .where = {}, .parallel = 1};
  const repository::Summary summary =
      engine::make_engine(engine::parse_url(sqlite_url(copy)), {})->back_up(scope, *writer, quiet);
  const repository::Committed committed = repository->commit(*writer, summary);
  services.catalog.put_artifact(artifact_record(committed.manifest, repository_name));
  task.info(cat("backed up the control database as ", identity.id, ", ",
                util::format_size(committed.added_bytes), " added"));
  apply_retention(services, plan_retention(services, identity.job, {}, repository_name),
                  repository_name, quiet);
}

bool fetch_control(Services& services, const std::string& repository_name, const fs::path& file,
                   util::Task& task) {
  const auto newest = services.catalog.artifacts(
      {.limit = 1, .database = std::string(catalog::kControlName), .repository = repository_name});
  if (newest.empty()) return false;
  const auto reader = services.repositories.get(repository_name)->read(newest.front().id);
  engine::open_tables(*reader)->write_native(file.string(), task);
  return true;
}

}  // namespace dbbackup::job
