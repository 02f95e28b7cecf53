#include "catalog/holds.hpp"

#include "catalog/columns.hpp"
#include "catalog/ids.hpp"
#include "catalog/impl.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

namespace {
constexpr Table kTable{"holds", "id,artifact,reason,until,created"};

auto fields(auto& hold) {
  return std::tie(hold.id, hold.artifact, hold.reason, hold.until, hold.created);
}
}  // namespace

std::vector<Hold> holds_in_force(Connection& db, const std::string& artifact, util::TimePoint now) {
  Statement statement = db.prepare(
      select_sql(kTable) + " WHERE artifact=?1 AND (until IS NULL OR until > ?2) ORDER BY id");
  bind_value(statement, 1, artifact);
  bind_value(statement, 2, now);
  return read_rows(statement, [](const Statement& row) {
    Hold hold;
    read_fields(row, fields(hold));
    return hold;
  });
}

Hold Catalog::add_hold(const std::string& artifact, const std::string& reason,
                       std::optional<util::TimePoint> until) {
  return impl_->write([&](Connection& db) {
    const util::TimePoint now = impl_->clock.now();
    if (!id_exists(db, kArtifact, artifact)) throw no_such_id(kArtifact, artifact);
    if (until && *until <= now) {
      throw util::Error(
          util::ErrorCode::usage,
          util::cat("a hold until ", util::format_rfc3339(*until), " would be over already"),
          "give a time in the future, or none");
    }
    const Hold hold{impl_->ids.next(), artifact, reason, until, now};
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(hold));
    statement.run();
    return hold;
  });
}

std::vector<Hold> Catalog::holds(const std::string& artifact) {
  return impl_->read(
      [&](Connection& db) { return holds_in_force(db, artifact, impl_->clock.now()); });
}

std::size_t Catalog::release(const std::string& artifact) {
  return impl_->write([&](Connection& db) {
    if (!id_exists(db, kArtifact, artifact)) throw no_such_id(kArtifact, artifact);
    const std::size_t released = holds_in_force(db, artifact, impl_->clock.now()).size();
    Statement statement = db.prepare("DELETE FROM holds WHERE artifact=?");
    bind_value(statement, 1, artifact);
    statement.run();
    return released;
  });
}

}  // namespace dbbackup::catalog
