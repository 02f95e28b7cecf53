// SQL scripts as psql reads them: rows as COPY blocks.
#pragma once

#include "engine/sql_dialect.hpp"

namespace dbbackup::engine::postgresql {

class PostgresqlDialect final : public SqlDialect {
 public:
  void begin_script(std::string& out) const override;
  void table_name(const TableData& table, std::string& out) const override;
  void value(const Field& field, std::string& out) const override;
  void begin_table(const TableData& table, std::string& out) const override;
  void row(const TableData& table, const std::vector<Field>& fields,
           std::string& out) const override;
  void end_table(const TableData& table, std::string& out) const override;
};

}  // namespace dbbackup::engine::postgresql
