#include "job/services.hpp"

namespace dbbackup::job {

engine::Settings Services::engine_settings(const catalog::Database& database) const {
  engine::Settings settings;
  settings.options = database.options;
  settings.protected_files = protected_files;
  settings.password = [this, name = database.name] {
    return std::string(catalog.password(name).reveal_text());
  };
  return settings;
}

std::unique_ptr<engine::Engine> Services::engine_for(const catalog::Database& database) const {
  return engine::make_engine(engine::parse_url(database.url), engine_settings(database));
}

}  // namespace dbbackup::job
