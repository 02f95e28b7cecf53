#include "engine/postgresql/stored.hpp"

#include "engine/postgresql/backup.hpp"
#include "engine/postgresql/extras.hpp"
#include "util/error.hpp"
#include "util/json.hpp"

namespace dbbackup::engine::postgresql {

std::set<std::pair<std::string, std::string>> StoredDatabase::names() const {
  std::set<std::pair<std::string, std::string>> names;
  for (const StoredTable& table : tables) names.insert({table.schema, table.name});
  return names;
}

StoredDatabase read_stored(repository::ArtifactReader& reader, const Scope& scope,
                           util::Task& task) {
  if (!scope.where.empty()) {
    throw util::Error(util::ErrorCode::unsupported, "a condition cannot be applied to stored rows",
                      "restore the table and delete what is not wanted");
  }
  StoredDatabase stored;
  const auto& data = reader.summary().engine_data;
  stored.whole = util::json::get_bool(data, "whole").value_or(false);
  stored.all = stored.whole && scope.everything();
  stored.encoding = util::json::get_string(data, "encoding").value_or("UTF8");
  reader.open(kDefinitionsStream)
      ->read_all(
          [&](std::uint64_t, util::ByteView piece) {
            stored.archive.insert(stored.archive.end(), piece.begin(), piece.end());
          },
          1, task);
  stored.definitions = read_definitions(stored.archive);
  std::vector<StoredTable> tables;
  for (const std::string& line : read_lines(reader, kTablesStream, task)) {
    std::vector<std::string> streams;
    tables.push_back(table_of_line(line, streams));
    stored.streams[tables.back().id()] = std::move(streams);
  }
  stored.tables = choose(std::move(tables), scope);
  return stored;
}

}  // namespace dbbackup::engine::postgresql
