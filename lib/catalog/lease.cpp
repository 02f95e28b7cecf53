// Who may write into the control database (catalog.hpp says what it is for).
//
// The state folder's lock keeps a second daemon out where it can: not when the lock file was
// deleted, and not on a network file system that does not lock. The lease holds there as well,
// because SQLite orders the transactions: each write first looks whether its fence is still the
// newest one.
#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "util/error.hpp"
#include "util/kill_point.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
struct Lease {
  std::int64_t fence = 0;
  std::string holder;
  std::optional<util::TimePoint> renewed_at;
};

Lease read_lease(Connection& db) {
  Statement statement = db.prepare("SELECT fence, holder, renewed_at FROM lease");
  Lease lease;
  if (statement.step())
    read_fields(statement, std::tie(lease.fence, lease.holder, lease.renewed_at));
  return lease;
}

// A clock that was set back must not make a dead holder live for hours.
bool may_live(const Lease& lease, util::TimePoint now) {
  if (!lease.renewed_at) return false;
  const util::Milliseconds passed = now - *lease.renewed_at;
  return passed < Catalog::kLeaseTime && passed > -Catalog::kLeaseTime;
}
}  // namespace

void Catalog::Impl::require_fence(Connection& db) {
  if (!fence_ || read_lease(db).fence == *fence_) return;
  throw Error(ErrorCode::conflict,
              cat("another dbbackupd has taken over the control database ", file.string()),
              "only one daemon may use a state folder; this one has to stop");
}

std::int64_t Catalog::Impl::take_lease(const std::string& holder) {
  const std::scoped_lock lock(write_mutex);
  fence_ = transact(writer, [&](Connection& db) {
    const Lease last = read_lease(db);
    const util::TimePoint now = clock.now();
    if (last.holder != holder && may_live(last, now)) {
      throw Error(ErrorCode::conflict,
                  cat("another dbbackupd uses the control database ", file.string(),
                      "; it was alive ", util::format_duration(now - *last.renewed_at), " ago"),
                  cat("stop it first; when it is gone, try again after ",
                      util::format_duration(kLeaseTime)));
    }
    const std::int64_t fence = last.fence + 1;
    Statement statement = db.prepare("UPDATE lease SET fence=?, holder=?, renewed_at=?");
    bind_fields(statement, std::tie(fence, holder, now));
    statement.run();
    return fence;
  });
  util::kill_point("lease.after_take");
  return *fence_;
}

void Catalog::Impl::release_lease() {
  const std::scoped_lock lock(write_mutex);
  if (!fence_) return;
  transact(writer, [&](Connection& db) {
    Statement statement = db.prepare("UPDATE lease SET renewed_at=NULL WHERE fence=?");
    bind_value(statement, 1, *fence_);
    statement.run();
  });
}

std::int64_t Catalog::take_lease(const std::string& holder) { return impl_->take_lease(holder); }

void Catalog::renew_lease(const std::vector<std::string>& executing) {
  impl_->write([&](Connection& db) {
    const util::TimePoint now = impl_->clock.now();
    Statement lease = db.prepare("UPDATE lease SET renewed_at=?");
    bind_value(lease, 1, now);
    lease.run();
    for (const std::string& run : executing) {
      Statement statement =
          db.prepare("UPDATE runs SET heartbeat_at=?2 WHERE id=?1 AND state='running'");
      bind_fields(statement, std::tie(run, now));
      statement.run();
    }
  });
}

void Catalog::require_lease() {
  impl_->write([](Connection&) {});  // as every write: refused without the lease
}

void Catalog::release_lease() { impl_->release_lease(); }

}  // namespace dbbackup::catalog
