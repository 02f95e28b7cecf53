#include "repository/ownership.hpp"

#include "repository/format.hpp"
#include "util/error.hpp"
#include "util/text.hpp"
#include "util/ulid.hpp"

namespace dbbackup::repository {

using util::cat;
using util::Error;
using util::ErrorCode;
namespace json = util::json;

namespace {

struct Owner {
  std::string daemon;
  std::int64_t fence = 0;
  std::string since;
  std::string session;  // empty: not claimed by any process since it changed hands
};

util::Bytes encode(const Owner& owner) {
  json::Object object;
  object["version"] = kFormatVersion;
  object["daemon"] = owner.daemon;
  object["fence"] = owner.fence;
  object["since"] = owner.since;
  if (!owner.session.empty()) object["session"] = owner.session;
  return encode_checked_json(object);
}

Owner decode(util::ByteView content) {
  try {
    const json::Object object = decode_checked_json(content);
    const auto daemon = json::get_string(object, "daemon");
    const auto fence = json::get_int(object, "fence");
    const auto since = json::get_string(object, "since");
    if (json::get_int(object, "version") != kFormatVersion || !daemon || !fence || !since) {
      throw Error(ErrorCode::verification_failed, "malformed");
    }
    return {*daemon, *fence, *since, json::get_string(object, "session").value_or("")};
  } catch (const Error& error) {
    throw error.with_context(kOwnerKey).with_hint(
        "take the repository over to write the object anew");
  }
}

Error owned_by_another(const storage::ObjectStore& store, const Owner& owner) {
  return {ErrorCode::conflict,
          cat(store.describe(), " is owned by daemon ", util::printable(owner.daemon), " since ",
              util::printable(owner.since)),
          "let that daemon do it; when it is gone for good, take the repository over: "
          "dbbackupctl repository rescan NAME --take-over (or repository add ... --take-over)"};
}

Error claimed_by_another(const storage::ObjectStore& store, const Owner& owner) {
  return {ErrorCode::conflict,
          cat("another process of this daemon writes to ", store.describe(), " since ",
              util::printable(owner.since)),
          "only one dbbackupd may use a state folder or its key; stop the other one and restart "
          "this one"};
}

}  // namespace

Ownership::Ownership(storage::ObjectStore& store, std::string daemon, std::string session,
                     const util::Clock& clock)
    : store_(store),
      daemon_(std::move(daemon)),
      session_(session.empty() ? util::UlidSource(clock).next() : std::move(session)),
      clock_(clock) {
  if (daemon_.empty())
    throw Error(ErrorCode::usage, "a daemon without an id cannot own a repository");
  const std::string key(kOwnerKey);
  const Owner first{daemon_, 1, util::format_rfc3339(clock.now()), session_};
  if (!store.stat(key) && store.put_new(key, encode(first))) {
    fence_ = first.fence;
    claimed_ = true;
    return;
  }
  const Owner owner = decode(store.get(key));
  if (owner.daemon != daemon_) throw owned_by_another(store, owner);
  fence_ = owner.fence;
  claimed_ = owner.session == session_;
}

void Ownership::require(const std::stop_token& stop) {
  const std::string key(kOwnerKey);
  const std::scoped_lock lock(mutex_);
  Owner owner = decode(store_.get(key, {}, stop));
  if (!claimed_ && owner.daemon == daemon_ && owner.fence == fence_ && owner.session != session_) {
    // Two processes at once may both get here; the one whose object is there afterwards has it.
    store_.put(key, encode({daemon_, fence_ + 1, util::format_rfc3339(clock_.now()), session_}),
               stop);
    owner = decode(store_.get(key, {}, stop));
  }
  if (!claimed_ && owner.daemon == daemon_ && owner.session == session_) {
    fence_ = owner.fence;  // also when that put was reported as failed
    claimed_ = true;
  }
  if (owner.daemon != daemon_) throw owned_by_another(store_, owner);
  if (owner.fence != fence_ || owner.session != session_) throw claimed_by_another(store_, owner);
}

void Ownership::take_over(storage::ObjectStore& store, const std::string& daemon,
                          const util::Clock& clock) {
  const std::string key(kOwnerKey);
  Owner next{daemon, 1, util::format_rfc3339(clock.now()), {}};
  if (store.stat(key)) {
    try {
      next.fence = decode(store.get(key)).fence + 1;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::verification_failed) throw;
      // A damaged object tells no number; the time is larger than any count of take-overs.
      next.fence = util::to_unix_ms(clock.now());
    }
  }
  store.put(key, encode(next));
}

void check_owner_object(util::ByteView content) { decode(content); }

}  // namespace dbbackup::repository
