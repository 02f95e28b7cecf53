// SQL as the mariadb and mysql clients read it.
#pragma once

#include "engine/sql_dialect.hpp"

namespace dbbackup::engine::mysql {

class MySqlDialect final : public SqlDialect {
 public:
  void begin_script(std::string& out) const override;
  void end_script(std::string& out) const override;
  void name(std::string_view identifier, std::string& out) const override;
  void table_name(const TableData& table, std::string& out) const override;
  void value(const Field& field, std::string& out) const override;
};

}  // namespace dbbackup::engine::mysql
