#include "catalog/settings.hpp"

#include "catalog/impl.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

std::optional<std::string> read_setting(Connection& db, std::string_view key) {
  Statement statement = db.prepare("SELECT value FROM settings WHERE key=?");
  if (!statement.bind(1, key).step()) return std::nullopt;
  return statement.string(0);
}

void write_setting(Connection& db, std::string_view key, std::string_view value) {
  Statement statement = db.prepare(
      "INSERT INTO settings (key, value) VALUES (?, ?)"
      " ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  statement.bind(1, key).bind(2, value).run();
}

std::optional<std::string> Catalog::setting(const std::string& key) {
  return impl_->read([&](Connection& db) { return read_setting(db, key); });
}

void Catalog::set_setting(const std::string& key, const std::string& value) {
  impl_->write([&](Connection& db) { write_setting(db, key, value); });
}

}  // namespace dbbackup::catalog
