#include "engine/postgresql/extras.hpp"

#include <algorithm>

#include "engine/row_text.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using Fields = std::vector<std::optional<std::string>>;

constexpr std::size_t kSequencesPerQuery = 200;

std::string line_of(const Result& result, std::size_t row, std::size_t columns) {
  std::string line;
  for (std::size_t column = 0; column < columns; ++column) {
    if (column > 0) line += '\t';
    append_row_field(result.is_null(row, column)
                         ? std::nullopt
                         : std::optional<std::string_view>(result.view(row, column)),
                     line);
  }
  return line;
}

std::vector<std::string> lines_of(const Result& result, std::size_t columns) {
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < result.rows(); ++row) {
    lines.push_back(line_of(result, row, columns));
  }
  return lines;
}

std::string text_of(const std::optional<std::string>& field) { return field.value_or(""); }
}  // namespace

std::vector<std::string> sequence_lines(Connection& connection,
                                        std::vector<std::string>& unreadable) {
  const Result all = connection.query(
      "SELECT n.nspname, c.relname, pg_catalog.has_sequence_privilege(c.oid, 'SELECT') "
      "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
      "AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND "
      "d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e') "
      "ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"");
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < all.rows(); start += kSequencesPerQuery) {
    std::string sql;
    for (std::size_t i = start; i < std::min(all.rows(), start + kSequencesPerQuery); ++i) {
      if (!all.boolean(i, 2)) {
        unreadable.push_back(cat(all.view(i, 0), ".", all.view(i, 1)));
        continue;
      }
      sql += cat(sql.empty() ? "" : " UNION ALL ", "SELECT ", i, "::bigint AS place, ",
                 quote_text(all.view(i, 0)), ", ", quote_text(all.view(i, 1)),
                 ", last_value, is_called FROM ", quote_name(all.view(i, 0), all.view(i, 1)));
    }
    if (sql.empty()) continue;
    const Result values = connection.query(sql);
    std::vector<std::pair<std::int64_t, std::string>> placed;
    for (std::size_t row = 0; row < values.rows(); ++row) {
      std::string line;
      for (std::size_t column = 1; column < 5; ++column) {
        if (column > 1) line += '\t';
        append_row_field(values.view(row, column), line);
      }
      placed.emplace_back(values.integer(row, 0), std::move(line));
    }
    std::sort(placed.begin(), placed.end());
    for (auto& [place, line] : placed) lines.push_back(std::move(line));
  }
  return lines;
}

void set_sequences(Connection& connection, const std::vector<std::string>& lines,
                   const std::set<std::pair<std::string, std::string>>* only) {
  std::string sql;
  const auto flush = [&] {
    if (!sql.empty()) connection.execute(sql);
    sql.clear();
  };
  Fields fields;
  std::size_t count = 0;
  for (const std::string& line : lines) {
    split_row(line, fields);
    if (fields.size() != 4) continue;
    if (only != nullptr && !only->contains({text_of(fields[0]), text_of(fields[1])})) continue;
    const std::string name = quote_name(text_of(fields[0]), text_of(fields[1]));
    sql += cat("SELECT pg_catalog.setval(", quote_text(name), ", ", text_of(fields[2]), ", '",
               text_of(fields[3]), "');");
    if (++count % kSequencesPerQuery == 0) flush();
  }
  flush();
}

bool has_large_objects(Connection& connection) {
  return connection.value("SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)") == "t";
}

std::string large_objects_sql() {
  // Through functions, which work for every login that may read the object; the size comes from
  // seeking to its end. A page that is not stored reads as zeros, as it does for every program.
  return "COPY (SELECT o.oid, p.page, pg_catalog.lo_get(o.oid, p.page * 16384, 16384) "
         "FROM (SELECT m.oid, pg_catalog.lo_lseek64(f.fd, 0, 2) AS size, f.fd "
         "FROM pg_catalog.pg_largeobject_metadata m CROSS JOIN LATERAL "
         "(SELECT pg_catalog.lo_open(m.oid, 262144) AS fd OFFSET 0) f OFFSET 0) o "
         "CROSS JOIN LATERAL pg_catalog.generate_series(0, (o.size - 1) / 16384) AS p(page) "
         "WHERE pg_catalog.lo_close(o.fd) = 0 AND o.size > 0) TO STDOUT";
}

std::vector<std::string> large_object_owner_lines(Connection& connection) {
  return lines_of(
      connection.query("SELECT m.oid, pg_catalog.pg_get_userbyid(m.lomowner), "
                       "pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.format('GRANT %s ON "
                       "LARGE OBJECT %s TO %s%s', a.privilege_type, m.oid, CASE a.grantee WHEN 0 "
                       "THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid("
                       "a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE "
                       "'' END) FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.grantee <> "
                       "m.lomowner ORDER BY 1), '; '), "
                       "pg_catalog.obj_description(m.oid, 'pg_largeobject') "
                       "FROM pg_catalog.pg_largeobject_metadata m ORDER BY m.oid"),
      4);
}

void restore_large_objects(Connection& connection, const std::vector<std::string>& owners,
                           bool no_owner, const std::function<void(const Connection::Put&)>& fill) {
  connection.execute("BEGIN");
  Fields fields;
  std::string late;
  for (const std::string& line : owners) {
    split_row(line, fields);
    if (fields.size() != 4) continue;
    const std::string oid = text_of(fields[0]);
    connection.execute(cat("SELECT pg_catalog.lo_create(", oid, ")"));
    if (fields[3]) {
      late += cat("COMMENT ON LARGE OBJECT ", oid, " IS ", quote_text(*fields[3]), ";");
    }
    if (no_owner) continue;
    if (!text_of(fields[2]).empty()) late += text_of(fields[2]) + ";";
    late += cat("ALTER LARGE OBJECT ", oid, " OWNER TO ", quote_name(text_of(fields[1])), ";");
  }
  connection.execute(
      "CREATE TEMPORARY TABLE dbbackup_pages (loid oid, page bigint, content bytea) ON COMMIT "
      "DROP");
  connection.copy_in("COPY pg_temp.dbbackup_pages FROM STDIN", fill);
  connection.execute(
      "SELECT pg_catalog.count(pg_catalog.lo_put(loid, page * 16384, content)) "
      "FROM pg_temp.dbbackup_pages");
  if (!late.empty()) connection.execute(late);
  connection.execute("COMMIT");
}

std::vector<std::string> filled_view_lines(Connection& connection) {
  // A view's depth is that of the deepest thing it reads, through plain views as well.
  return lines_of(
      connection.query(
          "WITH RECURSIVE reads AS (SELECT DISTINCT r.ev_class AS reader, d.refobjid AS source "
          "FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid = "
          "'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = "
          "'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class "
          "JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind IN ('v', 'm')), "
          "depth AS (SELECT oid AS reader, 0 AS level FROM pg_catalog.pg_class WHERE relkind IN "
          "('v', 'm') UNION SELECT reads.reader, depth.level + 1 FROM reads JOIN depth ON "
          "depth.reader = reads.source WHERE depth.level < 100) "
          "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
          "ON n.oid = c.relnamespace JOIN depth ON depth.reader = c.oid WHERE c.relkind = 'm' AND "
          "c.relispopulated AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = "
          "c.oid AND d.deptype = 'e') GROUP BY 1, 2 ORDER BY pg_catalog.max(level), 1, 2"),
      2);
}

std::vector<std::string> role_lines(Connection& connection) {
  const bool verifiers =
      connection.value("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')") ==
      "t";
  std::vector<std::string> lines = lines_of(
      connection.query(cat(
          "SELECT 'role', rolname, pg_catalog.format('CREATE ROLE %I WITH %s %s %s %s %s %s %s "
          "CONNECTION LIMIT %s%s%s', rolname, CASE WHEN rolsuper THEN 'SUPERUSER' ELSE "
          "'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END, CASE WHEN "
          "rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN "
          "'CREATEDB' ELSE 'NOCREATEDB' END, CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' "
          "END, CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END, CASE WHEN "
          "rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, rolconnlimit, ' VALID UNTIL ' || "
          "pg_catalog.quote_literal(rolvaliduntil), ",
          verifiers ? "' PASSWORD ' || pg_catalog.quote_literal(rolpassword)" : "NULL",
          ") FROM pg_catalog.", verifiers ? "pg_authid" : "pg_roles",
          " WHERE rolname !~ '^pg_' ORDER BY rolname COLLATE \"C\"")),
      3);
  for (const char* sql :
       {"SELECT 'member', m.rolname, pg_catalog.format('GRANT %I TO %I%s', r.rolname, m.rolname, "
        "CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END) FROM "
        "pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN "
        "pg_catalog.pg_roles m ON m.oid = a.member WHERE m.rolname !~ '^pg_' ORDER BY 2, 3",
        "SELECT 'setting', r.rolname, pg_catalog.format('ALTER ROLE %I SET %s = %L', r.rolname, "
        "pg_catalog.split_part(c, '=', 1), pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)) "
        "FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, "
        "LATERAL unnest(s.setconfig) c WHERE s.setdatabase = 0 ORDER BY 2, 3"}) {
    const auto more = lines_of(connection.query(sql), 3);
    lines.insert(lines.end(), more.begin(), more.end());
  }
  return lines;
}

std::vector<std::string> database_lines(Connection& connection) {
  const int version = connection.major_version();
  // Locale providers came with 15, and changed their column with 17.
  const std::string provider = version >= 15 ? "datlocprovider" : "'c'";
  const std::string locale = version >= 17 ? "datlocale" : version >= 15 ? "daticulocale" : "NULL";
  const Result one = connection.query(
      cat("SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, ", provider, ", ",
          locale,
          ", pg_catalog.pg_get_userbyid(datdba), datconnlimit, "
          "pg_catalog.shobj_description(oid, 'pg_database'), nullif(datacl IS NOT NULL, false) "
          "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"));
  std::vector<std::string> lines;
  const auto add = [&](std::string_view name, std::optional<std::string_view> value) {
    std::string line(name);
    line += '\t';
    append_row_field(value, line);
    lines.push_back(std::move(line));
  };
  std::size_t column = 0;
  for (const char* name : {"encoding", "collate", "ctype", "provider", "locale", "owner",
                           "connection_limit", "comment", "explicit_grants"}) {
    if (!one.is_null(0, column)) add(name, one.view(0, column));
    ++column;
  }
  // %1$s stays in these statements for the name of the database they will be run for.
  for (const char* sql :
       {"SELECT CASE s.setrole WHEN 0 THEN 'setting' ELSE 'role_setting' END, CASE s.setrole WHEN "
        "0 "
        "THEN '' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) END, "
        "pg_catalog.format('%s = %L', pg_catalog.split_part(c, '=', 1), "
        "pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)) FROM pg_catalog.pg_db_role_setting s "
        "JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, LATERAL unnest(s.setconfig) c "
        "WHERE d.datname = pg_catalog.current_database() ORDER BY 1, 2, 3",
        "SELECT 'grant', a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE "
        "pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END || CASE WHEN "
        "a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END FROM pg_catalog.pg_database d, "
        "LATERAL pg_catalog.aclexplode(d.datacl) a WHERE d.datname = "
        "pg_catalog.current_database() AND a.grantee <> d.datdba ORDER BY 1, 2, 3"}) {
    const auto more = lines_of(connection.query(sql), 3);
    lines.insert(lines.end(), more.begin(), more.end());
  }
  return lines;
}

std::vector<std::string> read_lines(repository::ArtifactReader& reader, const std::string& stream,
                                    util::Task& task) {
  std::vector<std::string> lines;
  if (!has_stream(reader, stream)) return lines;
  reader.open(stream)->read_all(
      [&](std::uint64_t, util::ByteView piece) {
        for (std::string_view rest = util::as_text(piece); !rest.empty();) {
          const std::size_t end = rest.find('\n');
          lines.emplace_back(rest.substr(0, end));
          rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        }
      },
      1, task);
  return lines;
}

void write_lines(repository::ArtifactWriter& writer, const std::string& stream,
                 const std::vector<std::string>& lines, const std::vector<std::string>& columns) {
  const auto out = writer.open(stream, repository::StreamKind::lines, {.columns = columns});
  for (const std::string& line : lines) {
    out->write(util::as_bytes(line));
    out->write(util::as_bytes("\n"));
    out->end_row();
  }
  out->close();
}

repository::RowHash hash_of(const std::vector<std::string>& lines) {
  repository::RowHash hash;
  for (const std::string& line : lines) hash.add(util::as_bytes(line));
  return hash;
}

bool has_stream(const repository::ArtifactReader& reader, std::string_view name) {
  return std::any_of(reader.streams().begin(), reader.streams().end(),
                     [&](const repository::StreamInfo& stream) { return stream.name == name; });
}

}  // namespace dbbackup::engine::postgresql
