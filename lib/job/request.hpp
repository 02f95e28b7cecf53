// What a run was asked to do, beyond the columns of the run itself. Stored as JSON with the run, so
// that a queued run survives a restart; the passphrase is the one thing that is never stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "crypto/secret.hpp"
#include "engine/engine.hpp"
#include "util/time.hpp"

namespace dbbackup::job {

// How often and how long, and what runs before and after; of the job as it stood when the run was
// submitted.
struct Policy {
  std::int64_t retries = 0;  // attempts after the first
  util::Milliseconds retry_delay = std::chrono::minutes(1);
  util::Milliseconds retry_max_delay = std::chrono::hours(1);
  std::optional<util::Milliseconds> timeout;        // of one attempt; empty: none
  std::optional<util::Milliseconds> stall_timeout;  // empty: the daemon's
  std::optional<util::Milliseconds> hook_timeout;   // empty: the daemon's
  std::string pre_hook;
  std::string post_hook;
};
Policy policy_of(const catalog::Job& job);

struct Request {
  engine::Scope scope;           // backup, restore, export
  engine::Options options = {};  // backup: of the job, over those of the database
  std::string mode = "create";   // restore
  bool integrity_check = true;   // restore
  std::string target;  // restore: database name; drill: scratch database, empty = own scratch space
  std::string file;    // restore --file, import: the archive; export: where to
  std::string format;  // export
  std::int64_t read_percent = 0;  // check
  Policy policy = {};
  std::vector<std::string> windows = {};  // start only inside, on the clocks of `timezone`
  std::string timezone;
  crypto::Secret passphrase = {};  // archives; never stored
  bool passphrase_lost = false;    // one was given, and a restart has forgotten it
};

std::string encode_request(const Request& request);
Request decode_request(const std::string& json);

}  // namespace dbbackup::job
