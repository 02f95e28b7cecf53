#include "engine/mysql/objects.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

std::vector<std::string> drops(Connection& connection, const std::string& database,
                               std::string_view kind, const std::string& select) {
  std::vector<std::string> statements;
  for (const Row& row : connection.query(select)) {
    statements.push_back(cat("DROP ", kind, " IF EXISTS ", quote_name(database), ".",
                             quote_name(row.at(0).value_or(""))));
  }
  return statements;
}

// Each object made in the session it was made in first.
class Maker {
 public:
  Maker(Connection& connection, const Making& making) : connection_(connection), making_(making) {
    collation_ = connection.value("SELECT @@collation_database").value_or("");
  }
  ~Maker() {
    try {
      connection_.execute("SET NAMES utf8mb4, SESSION time_zone='+00:00', SESSION sql_mode=''");
    } catch (const std::exception&) {
      // The connection is gone; whoever uses it next will notice.
    }
  }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  void make(const Definition& definition) {
    const bool other_collation =
        !definition.database_collation.empty() && definition.database_collation != collation_;
    if (other_collation) collate(definition.database_collation);
    try {
      prepare(definition);
      connection_.execute(statement(definition));
    } catch (const Error&) {
      if (other_collation) collate(collation_);
      throw;
    }
    if (other_collation) collate(collation_);
  }

 private:
  void collate(const std::string& collation) {
    connection_.execute(cat("ALTER DATABASE ", quote_name(making_.target), " COLLATE ", collation));
  }

  void prepare(const Definition& definition) {
    std::string sql = cat("SET SESSION sql_mode=", quote_text(definition.sql_mode));
    if (!definition.client_charset.empty()) {
      sql += cat(", SESSION character_set_client=", definition.client_charset,
                 ", SESSION collation_connection=", definition.connection_collation);
    }
    if (!definition.time_zone.empty()) {
      sql += cat(", SESSION time_zone=", quote_text(definition.time_zone));
    }
    connection_.execute(sql);
  }

  std::string statement(const Definition& definition) const {
    std::string status = definition.status;
    if (definition.kind == Kind::event && !making_.events_enabled) status = "DISABLE";
    const std::string definer =
        making_.definers == Definers::keep ? definition.definer : std::string();
    const std::string sql = definition.statement(definer, status);
    // A view's text is the server's own, with quoted names throughout; what people wrote is not
    // touched.
    if (definition.kind != Kind::view) return sql;
    return rename_database(sql, making_.source, making_.target);
  }

  Connection& connection_;
  const Making& making_;
  std::string collation_;
};

Error explained(const Error& error, const Definition& definition) {
  const std::string what = cat("creating ", util::to_lower(kind_name(definition.kind)), " ",
                               util::printable(definition.name));
  if (error.code() == ErrorCode::permission_denied && error.hint().empty() &&
      !definition.definer.empty()) {
    return error
        .with_hint(cat("its definer is ", util::printable(definition.definer),
                       "; --option definer=login makes the restoring account the definer"))
        .with_context(what);
  }
  return error.with_context(what);
}

// A view may need another one: those that fail are tried again as long as others succeed.
void make_views(Maker& maker, std::vector<const Definition*> views,
                std::vector<std::string>& warnings) {
  while (!views.empty()) {
    std::vector<const Definition*> failed;
    std::optional<Error> first;
    for (const Definition* view : views) {
      try {
        maker.make(*view);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
        failed.push_back(view);
        // What is missing may be another view that failed: its own reason says more.
        const bool says_more = !first || first->code() == ErrorCode::not_found;
        if (!view->broken && says_more) first = explained(error, *view);
      }
    }
    if (failed.size() == views.size()) {
      if (first) throw *first;
      for (const Definition* view : failed) {
        warnings.push_back(cat("view ", util::printable(view->name),
                               " was broken at the source and cannot be made here either"));
      }
      return;
    }
    views = std::move(failed);
  }
}
}  // namespace

bool database_exists(Connection& connection, const std::string& database) {
  return connection
      .value(
          cat("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=", quote_text(database)))
      .has_value();
}

std::vector<std::string> objects_of(Connection& connection, const std::string& database) {
  const std::string name = quote_text(database);
  std::vector<std::string> objects;
  for (const std::string& sql :
       {cat("SELECT CONCAT(IF(TABLE_TYPE='VIEW','view ','table '),TABLE_NAME) FROM "
            "information_schema.TABLES WHERE TABLE_SCHEMA=",
            name),
        cat("SELECT CONCAT(LOWER(ROUTINE_TYPE),' ',ROUTINE_NAME) FROM "
            "information_schema.ROUTINES WHERE ROUTINE_SCHEMA=",
            name),
        cat("SELECT CONCAT('event ',EVENT_NAME) FROM information_schema.EVENTS WHERE "
            "EVENT_SCHEMA=",
            name)}) {
    for (const Row& row : connection.query(sql)) objects.push_back(row.at(0).value_or(""));
  }
  return objects;
}

void empty_database(Connection& connection, const std::string& database) {
  const std::string schema = quote_text(database);
  std::vector<std::string> statements;
  const auto add = [&](std::string_view kind, const std::string& select) {
    for (std::string& statement : drops(connection, database, kind, select)) {
      statements.push_back(std::move(statement));
    }
  };
  add("EVENT", cat("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA=", schema));
  for (const std::string_view kind : {"PACKAGE", "PROCEDURE", "FUNCTION"}) {
    add(kind, cat("SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=",
                  schema, " AND ROUTINE_TYPE='", kind, "'"));
  }
  for (const auto& [kind, type] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"VIEW", "='VIEW'"},
           {"TABLE", " IN ('BASE TABLE','SYSTEM VERSIONED')"},
           {"SEQUENCE", "='SEQUENCE'"}}) {
    add(kind, cat("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA=", schema,
                  " AND TABLE_TYPE", type));
  }
  connection.execute("SET SESSION foreign_key_checks=0");
  for (const std::string& statement : statements) {
    // Only in this mode does the server know the word.
    const bool package = statement.starts_with("DROP PACKAGE ");
    if (package) connection.execute("SET SESSION sql_mode='ORACLE'");
    connection.execute(statement);
    if (package) connection.execute("SET SESSION sql_mode=''");
  }
}

void drop_tables(Connection& connection, const std::vector<std::string>& tables) {
  connection.execute("SET SESSION foreign_key_checks=0");
  for (const std::string& table : tables) {
    connection.execute(cat("DROP TABLE IF EXISTS ", quote_name(table)));
  }
}

std::string database_statement(std::string_view verb, const Definition& definition,
                               const std::string& source, const std::string& target) {
  const std::string own = quote_name(source);
  const std::size_t place = definition.sql.find(own);
  std::string options;
  if (place != std::string::npos) options = definition.sql.substr(place + own.size());
  return cat(verb, " DATABASE ", quote_name(target), options);
}

std::vector<std::string> make_programs(Connection& connection,
                                       const std::vector<Definition>& definitions,
                                       const Making& making) {
  std::vector<std::string> warnings;
  Maker maker(connection, making);
  const auto make_kind = [&](Kind kind) {
    for (const Definition& definition : definitions) {
      if (definition.kind != kind) continue;
      try {
        maker.make(definition);
      } catch (const Error& error) {
        throw explained(error, definition);
      }
    }
  };
  for (const Kind kind : {Kind::function, Kind::procedure, Kind::package, Kind::package_body}) {
    make_kind(kind);
  }
  std::vector<const Definition*> views;
  for (const Definition& definition : definitions) {
    if (definition.kind == Kind::view) views.push_back(&definition);
  }
  make_views(maker, std::move(views), warnings);
  make_kind(Kind::trigger);
  make_kind(Kind::event);
  return warnings;
}

}  // namespace dbbackup::engine::mysql
