// SQLite's SQL, as its own shell reads it.
#pragma once

#include "engine/sql_dialect.hpp"

namespace dbbackup::engine::sqlite_engine {

class SqliteDialect final : public SqlDialect {
 public:
  void begin_script(std::string& out) const override;
  void end_script(std::string& out) const override;
  // Source: sqlite.org/lang_expr.html "Literal Values".
  void value(const Field& field, std::string& out) const override;
};

}  // namespace dbbackup::engine::sqlite_engine
