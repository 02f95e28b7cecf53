#include "engine/mysql/artifact_tables.hpp"

#include <algorithm>
#include <map>

#include "engine/mysql/artifact_lines.hpp"
#include "engine/mysql/backup.hpp"
#include "engine/mysql/dialect.hpp"
#include "engine/mysql/table_reader.hpp"
#include "engine/mysql/text_charset.hpp"
#include "engine/row_text.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

Field::Type field_type(const std::string& type, const std::string& charset) {
  if (is_integer_type(type) || type == "year") return Field::Type::integer;
  // Decimals are text: what reads a real may have fewer digits.
  if (type == "float" || type == "double") return Field::Type::real;
  if (type == "json") return Field::Type::json;
  if (!charset.empty()) return Field::Type::text;
  for (const std::string_view binary :
       {"bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry",
        "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection", "geomcollection", "vector"}) {
    if (type == binary) return Field::Type::blob;
  }
  return Field::Type::text;
}

// Views behind those they name; broken ones are left out.
std::vector<const Definition*> views_in_order(const std::vector<Definition>& definitions) {
  std::vector<const Definition*> waiting;
  for (const Definition& definition : definitions) {
    if (definition.kind == Kind::view && !definition.broken) waiting.push_back(&definition);
  }
  std::vector<const Definition*> ordered;
  while (!waiting.empty()) {
    const auto needs_another = [&](const Definition* view) {
      return std::any_of(waiting.begin(), waiting.end(), [&](const Definition* other) {
        return other != view && view->sql.find(quote_name(other->name)) != std::string::npos;
      });
    };
    // A name may also be that of a column: then any order is as good as another.
    auto next = std::find_if_not(waiting.begin(), waiting.end(), needs_another);
    if (next == waiting.end()) next = waiting.begin();
    ordered.push_back(*next);
    waiting.erase(next);
  }
  return ordered;
}

struct Reading {
  StoredTable table;
  std::vector<Field::Type> types;
  std::vector<TextCharset> charsets;
};

class MySqlArtifactTables final : public ArtifactTables {
 public:
  explicit MySqlArtifactTables(repository::ArtifactReader& reader) : reader_(reader) {}

  void schema(const std::function<void(const std::string&, bool)>& each) override {
    util::QuietTask quiet;
    const auto definitions = read_artifact_definitions(reader_, quiet.task());
    for (const bool after_data : {false, true}) {
      for (const Definition& definition : definitions) {
        const bool table = definition.kind == Kind::table || definition.kind == Kind::sequence;
        if (definition.kind == Kind::database || table == after_data) continue;
        if (definition.kind == Kind::sequence) {
          write_sequence(definition, each);
        } else if (table) {
          each(definition.sql, false);
        }
      }
    }
    const auto write_kind = [&](Kind kind) {
      for (const Definition& definition : definitions) {
        if (definition.kind == kind) write_program(definition, each);
      }
    };
    write_kind(Kind::function);
    write_kind(Kind::procedure);
    write_kind(Kind::package);
    write_kind(Kind::package_body);
    for (const Definition* view : views_in_order(definitions)) write_program(*view, each);
    write_kind(Kind::trigger);
    write_kind(Kind::event);
  }

  void rows(const Scope& scope, RowSink& sink, util::Task& task) override {
    if (!scope.where.empty()) {
      throw Error(ErrorCode::unsupported,
                  "a condition cannot be applied to the rows of an artifact");
    }
    std::vector<StoredTable> tables = read_tables(task);
    Schema schema;
    schema.tables = std::move(tables);
    for (StoredTable& table : choose(schema, scope).tables) write(std::move(table), sink, task);
  }

  const SqlDialect* dialect() const override { return &dialect_; }

  void write_native(const std::string&, util::Task&) override {
    throw Error(ErrorCode::unsupported, "this engine has no file format of its own",
                "use --format sql, csv, json or archive");
  }

 private:
  static void write_sequence(const Definition& definition,
                             const std::function<void(const std::string&, bool)>& each) {
    each(definition.sql, false);
    const std::size_t comma = definition.status.find(',');
    each(cat("DO SETVAL(", quote_name(definition.name), ", ", definition.status.substr(0, comma),
             ", 0, ", definition.status.substr(comma + 1), ")"),
         false);
  }

  // Their bodies contain semicolons. The line "DELIMITER ;" ends with the semicolon that the export
  // puts behind every statement.
  static void write_program(const Definition& definition,
                            const std::function<void(const std::string&, bool)>& each) {
    std::string settings = cat("SET SESSION sql_mode=", quote_text(definition.sql_mode));
    if (!definition.client_charset.empty()) {
      settings += cat(", SESSION character_set_client=", definition.client_charset,
                      ", SESSION collation_connection=", definition.connection_collation);
    }
    if (!definition.time_zone.empty()) {
      settings += cat(", SESSION time_zone=", quote_text(definition.time_zone));
    }
    each(settings, true);
    each(cat("DELIMITER ;;\n", definition.statement(definition.definer, definition.status),
             "\n;;\nDELIMITER "),
         true);
  }

  std::vector<StoredTable> read_tables(util::Task& task) {
    std::vector<StoredTable> tables;
    std::map<std::string, std::size_t> places;
    std::vector<std::optional<std::string>> fields;
    read_lines(
        reader_, kColumnStream,
        [&](std::string_view line) {
          split_row(line, fields);
          if (fields.size() != 4) {
            throw Error(ErrorCode::verification_failed,
                        cat("stream ", kColumnStream, " has a malformed row"));
          }
          const std::string name = fields[0].value_or("");
          if (!places.contains(name)) {
            places[name] = tables.size();
            tables.emplace_back().name = name;
          }
          tables[places[name]].columns.push_back(
              {fields[1].value_or(""), fields[2].value_or(""), fields[3].value_or("")});
        },
        task);
    return tables;
  }

  void write(StoredTable table, RowSink& sink, util::Task& task) {
    Reading reading;
    TableData data{table.name, {}, {}};
    for (const StoredColumn& column : table.columns) {
      data.columns.push_back(column.name);
      data.generated.push_back(false);
      reading.types.push_back(field_type(column.type, column.charset));
      reading.charsets.emplace_back(column.charset);
    }
    reading.table = std::move(table);
    sink.begin_table(data);
    std::vector<std::optional<std::string>> raw;
    std::vector<Field> fields(reading.types.size());
    for (const std::string& stream : row_streams(reader_, reading.table.name)) {
      read_lines(
          reader_, stream,
          [&](std::string_view line) {
            split_row(line, raw);
            decode(raw, reading, fields);
            sink.row(fields);
            ++task.progress().rows;
          },
          task);
    }
    sink.end_table();
  }

  static void decode(std::vector<std::optional<std::string>>& raw, Reading& reading,
                     std::vector<Field>& fields) {
    if (raw.size() != fields.size()) {
      throw Error(ErrorCode::verification_failed,
                  cat("table ", util::printable(reading.table.name), " has a malformed row"));
    }
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (!raw[i]) {
        fields[i] = {};
        continue;
      }
      fields[i].type = reading.types[i];
      fields[i].value = reading.types[i] == Field::Type::text ? reading.charsets[i].to_utf8(*raw[i])
                                                              : std::move(*raw[i]);
      if (fields[i].value == "0000" && fields[i].type == Field::Type::integer) {
        fields[i].value = "0";  // a YEAR
      }
    }
  }

  repository::ArtifactReader& reader_;
  const MySqlDialect dialect_;
};
}  // namespace

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader) {
  return std::make_unique<MySqlArtifactTables>(reader);
}

}  // namespace dbbackup::engine::mysql
