#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "catalog/names.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;

namespace {
constexpr Table kTable{"databases",
                       "name,engine,url,options,is_protected,restore_allowed_until,created"};
constexpr int kHasPassword = 7;  // the column after these

auto fields(auto& database) {
  return std::tie(database.name, database.engine, database.url, database.options,
                  database.is_protected, database.restore_allowed_until, database.created);
}

Database read_one(const Statement& row) {
  Database database;
  read_fields(row, fields(database));
  database.has_password = row.integer(kHasPassword) != 0;
  return database;
}

std::string select(std::string_view rest) {
  return cat("SELECT ", kTable.columns, ",password IS NOT NULL FROM databases ", rest);
}

std::optional<Database> find(Connection& db, const std::string& name) {
  Statement statement = db.prepare(select("WHERE name=?"));
  bind_value(statement, 1, name);
  return read_row(statement, read_one);
}

Database get(Connection& db, const std::string& name) {
  auto found = find(db, name);
  if (!found) throw no_such(db, kDatabase, name);
  return *std::move(found);
}

void store_password(Connection& db, const SecretBox& box, const std::string& name,
                    const crypto::Secret& password) {
  Statement statement = db.prepare("UPDATE databases SET password=?2 WHERE name=?1");
  bind_value(statement, 1, name);
  if (password.empty()) {
    statement.bind_null(2);
  } else {
    const util::Bytes sealed = box.seal(kTable.name, name, password);
    statement.bind(2, util::ByteView(sealed));
  }
  statement.run();
}
}  // namespace

void Catalog::add_database(const Database& database, const crypto::Secret& password) {
  impl_->write([&](Connection& db) {
    require_free_name(db, kDatabase, database.name);
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(database));
    statement.run();
    store_password(db, impl_->box, database.name, password);
  });
}

void Catalog::update_database(const Database& database) {
  impl_->write([&](Connection& db) {
    Database updated = database;
    updated.created = get(db, database.name).created;
    Statement statement = db.prepare(update_sql(kTable));
    bind_fields(statement, fields(updated));
    statement.run();
  });
}

void Catalog::set_password(const std::string& name, const crypto::Secret& password) {
  impl_->write([&](Connection& db) {
    require_exists(db, kDatabase, name);
    store_password(db, impl_->box, name, password);
  });
}

crypto::Secret Catalog::password(const std::string& name) {
  return impl_->read([&](Connection& db) {
    Statement statement = db.prepare("SELECT password FROM databases WHERE name=?");
    bind_value(statement, 1, name);
    if (!statement.step()) throw no_such(db, kDatabase, name);
    if (statement.is_null(0)) return crypto::Secret();
    auto password = impl_->box.open(kTable.name, name, statement.blob(0));
    if (password) return *std::move(password);
    throw util::Error(util::ErrorCode::verification_failed,
                      cat("the stored password of database ", name, " cannot be decrypted"),
                      cat("the control database was changed from outside; set it again with "
                          "\"dbbackupctl database set-password ",
                          name, "\""));
  });
}

std::optional<Database> Catalog::find_database(const std::string& name) {
  return impl_->read([&](Connection& db) { return find(db, name); });
}

Database Catalog::database(const std::string& name) {
  return impl_->read([&](Connection& db) { return get(db, name); });
}

void Catalog::require_known_database(const std::string& name) {
  impl_->read([&](Connection& db) { require_known(db, kDatabase, name); });
}

std::vector<Database> Catalog::databases() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(select("ORDER BY name"));
    return read_rows(statement, read_one);
  });
}

void Catalog::remove_database(const std::string& name) {
  impl_->write([&](Connection& db) {
    require_exists(db, kDatabase, name);
    require_no_jobs(db, kDatabase, "database", name);
    delete_named(db, kDatabase, name);
  });
}

}  // namespace dbbackup::catalog
