#include "engine/postgresql/artifact_tables.hpp"

#include <algorithm>
#include <array>

#include "engine/postgresql/dialect.hpp"
#include "engine/postgresql/extras.hpp"
#include "engine/postgresql/stored.hpp"
#include "engine/row_text.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;
using Statement = std::function<void(const std::string& statement, bool after_data)>;

Field::Type type_of(const std::string& type) {
  const std::string base = type.substr(0, type.find('('));
  if (base == "smallint" || base == "integer" || base == "bigint") return Field::Type::integer;
  if (base == "real" || base == "double precision" || base == "numeric") return Field::Type::real;
  if (base == "bytea") return Field::Type::blob;
  if (base == "json" || base == "jsonb" || base == "boolean") return Field::Type::json;
  return Field::Type::text;
}

void set_value(const std::string& type, std::string& text, Field& field) {
  if (field.type == Field::Type::real) {
    // The words the other formats know.
    if (text == "NaN") text = "nan";
    if (text == "Infinity") text = "inf";
    if (text == "-Infinity") text = "-inf";
  } else if (field.type == Field::Type::blob && text.starts_with("\\x")) {
    const auto bytes = util::from_hex(std::string_view(text).substr(2));
    if (bytes) text.assign(util::as_text(*bytes));
  } else if (type == "boolean") {
    text = text == "t" ? "true" : "false";
  }
  field.value.swap(text);
}

std::string without_end(std::string statement) {
  const std::size_t last = statement.find_last_not_of("; \n");
  statement.erase(last == std::string::npos ? 0 : last + 1);
  return statement;
}

// "DROP FUNCTION public.f(integer);" names the object just as ALTER ... OWNER TO does.
// Source: PostgreSQL's pg_backup_archiver.c, _printTocEntry().
std::string owner_statement(const Definition& definition) {
  static constexpr std::array<std::string_view, 24> kOwned{"AGGREGATE",
                                                           "COLLATION",
                                                           "CONVERSION",
                                                           "DOMAIN",
                                                           "FUNCTION",
                                                           "OPERATOR",
                                                           "OPERATOR CLASS",
                                                           "OPERATOR FAMILY",
                                                           "PROCEDURE",
                                                           "SCHEMA",
                                                           "EVENT TRIGGER",
                                                           "TABLE",
                                                           "TYPE",
                                                           "VIEW",
                                                           "MATERIALIZED VIEW",
                                                           "SEQUENCE",
                                                           "FOREIGN TABLE",
                                                           "STATISTICS",
                                                           "TEXT SEARCH DICTIONARY",
                                                           "TEXT SEARCH CONFIGURATION",
                                                           "FOREIGN DATA WRAPPER",
                                                           "SERVER",
                                                           "PUBLICATION",
                                                           "PROCEDURAL LANGUAGE"};
  const bool owned = std::find(kOwned.begin(), kOwned.end(), definition.kind) != kOwned.end();
  if (!owned || definition.owner.empty() || !definition.drop.starts_with("DROP ")) return {};
  return cat("ALTER ", without_end(definition.drop.substr(5)), " OWNER TO ",
             quote_name(definition.owner));
}

class PostgresqlTables final : public ArtifactTables {
 public:
  explicit PostgresqlTables(repository::ArtifactReader& reader) : reader_(reader) {}

  void schema(const Statement& each) override {
    util::QuietTask quiet;
    const StoredDatabase stored = read_stored(reader_, {}, quiet.task());
    bool after_data = false;
    std::vector<const Definition*> last;
    for (const Definition& definition : stored.definitions.list) {
      if (definition.kind == "EVENT TRIGGER" || definition.name.starts_with("EVENT TRIGGER ")) {
        last.push_back(&definition);  // must not fire on what the script itself does
        continue;
      }
      if (is_about_database(definition) || definition.section == Definition::Section::data)
        continue;
      // Comments and grants have no section of their own: they stay with what stands before them.
      if (definition.section == Definition::Section::pre_data) after_data = false;
      if (definition.section == Definition::Section::post_data) after_data = true;
      write(definition, after_data, each);
    }
    write_sequences(each, quiet.task());
    write_views(each, quiet.task());
    for (const Definition* definition : last) write(*definition, true, each);
  }

  void rows(const Scope& scope, RowSink& sink, util::Task& task) override {
    const StoredDatabase stored = read_stored(reader_, scope, task);
    if (stored.encoding != "UTF8" && stored.encoding != "SQL_ASCII") {
      throw Error(ErrorCode::unsupported,
                  cat("rows in encoding ", stored.encoding, " cannot be exported as text"),
                  "restore the artifact and use psql, or use --format archive");
    }
    for (const StoredTable& table : stored.tables) {
      write(table, stored.streams.at(table.id()), sink, task);
    }
  }

  const SqlDialect* dialect() const override { return &dialect_; }

  void write_native(const std::string&, util::Task&) override {
    throw Error(ErrorCode::unsupported, "PostgreSQL artifacts have no native file format",
                "use --format sql, which psql loads, or --format archive");
  }

 private:
  static void write(const Definition& definition, bool after_data, const Statement& each) {
    if (definition.kind == "TABLE" && !definition.access_method.empty()) {
      each(cat("SET default_table_access_method = ", quote_name(definition.access_method)),
           after_data);
    }
    if (definition.kind == "TABLE" || definition.kind == "INDEX" ||
        definition.kind == "MATERIALIZED VIEW" || definition.kind == "CONSTRAINT") {
      each(cat("SET default_tablespace = ", quote_text(definition.tablespace)), after_data);
    }
    const std::string create = without_end(definition.create);
    if (!create.empty()) each(create, after_data);
    const std::string owner = owner_statement(definition);
    if (!owner.empty()) each(owner, after_data);
  }

  void write_sequences(const Statement& each, util::Task& task) {
    std::vector<std::optional<std::string>> fields;
    for (const std::string& line : read_lines(reader_, kSequencesStream, task)) {
      split_row(line, fields);
      if (fields.size() != 4) continue;
      const std::string name = quote_name(fields[0].value_or(""), fields[1].value_or(""));
      each(cat("SELECT pg_catalog.setval(", quote_text(name), ", ", fields[2].value_or(""), ", '",
               fields[3].value_or(""), "')"),
           true);
    }
  }

  void write_views(const Statement& each, util::Task& task) {
    std::vector<std::optional<std::string>> fields;
    for (const std::string& line : read_lines(reader_, kViewsStream, task)) {
      split_row(line, fields);
      if (fields.size() != 2) continue;
      each(cat("REFRESH MATERIALIZED VIEW ",
               quote_name(fields[0].value_or(""), fields[1].value_or(""))),
           true);
    }
  }

  void write(const StoredTable& table, const std::vector<std::string>& streams, RowSink& sink,
             util::Task& task) {
    TableData data{table.id(), {}, {}};
    std::vector<Field::Type> types;
    std::vector<std::string> names;
    for (const TableColumn& column : table.columns) {
      if (column.generated) continue;  // not stored
      data.columns.push_back(column.name);
      types.push_back(type_of(column.type));
      names.push_back(column.type);
    }
    data.generated.assign(data.columns.size(), false);
    sink.begin_table(data);
    std::vector<std::optional<std::string>> texts;
    std::vector<Field> fields(types.size());
    const auto take_line = [&](std::string_view line) {
      if (!types.empty()) split_row(line, texts);
      if (texts.size() != types.size()) {
        throw Error(ErrorCode::verification_failed,
                    cat("a stored row of ", util::printable(table.id()), " has ", texts.size(),
                        " fields instead of ", types.size()));
      }
      for (std::size_t i = 0; i < types.size(); ++i) {
        fields[i].type = texts[i] ? types[i] : Field::Type::null;
        if (texts[i]) set_value(names[i], *texts[i], fields[i]);
      }
      sink.row(fields);
    };
    for (const std::string& stream : streams) {
      std::string begun;  // of a row that is longer than a piece
      reader_.open(stream)->read_all(
          [&](std::uint64_t, util::ByteView piece) {
            for (std::string_view rest = util::as_text(piece); !rest.empty();) {
              const std::size_t end = rest.find('\n');
              if (end == std::string_view::npos) {
                begun += rest;
                break;
              }
              if (begun.empty()) {
                take_line(rest.substr(0, end));
              } else {
                begun += rest.substr(0, end);
                take_line(begun);
                begun.clear();
              }
              rest.remove_prefix(end + 1);
            }
          },
          2, task);
    }
    sink.end_table();
  }

  repository::ArtifactReader& reader_;
  const PostgresqlDialect dialect_;
};
}  // namespace

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader) {
  return std::make_unique<PostgresqlTables>(reader);
}

}  // namespace dbbackup::engine::postgresql
