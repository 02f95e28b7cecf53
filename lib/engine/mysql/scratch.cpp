#include "engine/mysql/scratch.hpp"

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;

constexpr const char* kPrefix = "dbbackup_drill_";
constexpr const char* kPattern = "dbbackup\\_drill\\_%";
}  // namespace

Scratch::Scratch(Login login, std::string password, const std::string& name)
    : door_{std::move(login), std::move(password), nullptr},
      database_(cat(kPrefix, util::to_lower(name))) {}

void Scratch::begin(util::Task& task) {
  keeper_.emplace(door_, "");
  keeper_->try_execute("SET SESSION sql_log_bin=0");
  keeper_->query(cat("SELECT GET_LOCK(", quote_text(database_), ", 0)"));
  for (const Row& row : keeper_->query(
           cat("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '",
               kPattern, "'"))) {
    const std::string name = row.at(0).value_or("");
    if (keeper_->value(cat("SELECT IS_FREE_LOCK(", quote_text(name), ")")).value_or("0") != "1") {
      continue;
    }
    task.info(
        cat("removing database ", util::printable(name), ", left behind by an earlier drill"));
    keeper_->execute(cat("DROP DATABASE IF EXISTS ", quote_name(name)));
  }
}

void Scratch::remove(util::Task&) {
  if (!keeper_) return;
  // The keeper may have been idle for hours, or cut off.
  keeper_.reset();
  Connection connection(door_, "");
  connection.try_execute("SET SESSION sql_log_bin=0");
  connection.execute(cat("DROP DATABASE IF EXISTS ", quote_name(database_)));
}

}  // namespace dbbackup::engine::mysql
