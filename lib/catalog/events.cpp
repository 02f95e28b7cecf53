#include <algorithm>

#include "catalog/columns.hpp"
#include "catalog/event_rows.hpp"
#include "catalog/impl.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;

namespace {
constexpr Table kTable{"events", "id,at,uid,user,pid,action,object,outcome,detail"};

auto fields(auto& event) {
  return std::tie(event.id, event.at, event.uid, event.user, event.pid, event.action, event.object,
                  event.outcome, event.detail);
}

Event read_one(const Statement& row) {
  Event event;
  read_fields(row, fields(event));
  return event;
}

std::vector<Event> select(Connection& db, const Filter& filter, std::string_view order,
                          std::optional<std::int64_t> limit) {
  Statement statement =
      db.prepare(cat(select_sql(kTable), filter.sql(), " ORDER BY id ", order, " LIMIT ?"));
  statement.bind(filter.bind(statement), std::int64_t{limit.value_or(-1)});
  return read_rows(statement, read_one);
}
}  // namespace

void insert_absent(Connection& db, const Event& event) {
  Statement statement = db.prepare(cat(insert_sql(kTable), " ON CONFLICT DO NOTHING"));
  bind_fields(statement, fields(event));
  statement.run();
}

void Catalog::add_event(const Event& event) {
  Event filled = event;
  if (filled.id.empty()) filled.id = impl_->ids.next();
  if (filled.at == util::TimePoint{}) filled.at = impl_->clock.now();
  impl_->write([&](Connection& db) {
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(filled));
    statement.run();
  });
}

std::vector<Event> Catalog::events(std::optional<util::TimePoint> since,
                                   std::optional<std::int64_t> limit, const std::string& after_id) {
  return impl_->read([&](Connection& db) {
    Filter filter;
    if (since) filter.add(cat("at >= ", std::int64_t{util::to_unix_ms(*since)}));
    if (!after_id.empty()) {
      filter.add("id > ?", after_id);
      return select(db, filter, "ASC", limit);
    }
    std::vector<Event> newest = select(db, filter, "DESC", limit);
    std::reverse(newest.begin(), newest.end());
    return newest;
  });
}

}  // namespace dbbackup::catalog
