// What every verb may use. The daemon owns all of it and hands it down; nothing here is created by
// this room but the open repositories.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"
#include "engine/engine.hpp"
#include "job/repositories.hpp"
#include "util/log.hpp"
#include "util/time.hpp"
#include "util/ulid.hpp"

namespace dbbackup::job {

// What maintenance does by itself, and how often.
struct Maintenance {
  // Scheduled checks read so much at a time that everything stored is read again within this.
  util::Milliseconds reread_within = std::chrono::days(30);
  util::Milliseconds control_backup_every = std::chrono::hours(1);  // 0: never
};

struct Services {
  catalog::Catalog& catalog;
  Repositories& repositories;
  const util::Clock& clock;
  util::UlidSource& ids;
  util::Logger log;
  std::filesystem::path scratch_folder;      // drills restore below it
  std::vector<std::string> protected_files;  // never a restore target
  unsigned parallel = 2;                     // reader workers where a job does not say
  std::string host;                          // for artifact names
  Maintenance maintenance = {};
  // IANA name of the zone for what names none; the configuration may change it at any time.
  std::function<std::string()> default_timezone = [] { return std::string("UTC"); };
  std::int64_t fence = 0;  // of the catalog's lease; noted with each run

  // The engine behind a database of the catalog; fetches the stored password when the engine asks
  // for it.
  std::unique_ptr<engine::Engine> engine_for(const catalog::Database& database) const;
  engine::Settings engine_settings(const catalog::Database& database) const;
};

}  // namespace dbbackup::job
