// What a run was asked to do, beyond the columns of the run itself. Stored as JSON with the run, so
// that a queued run survives a restart; the passphrase is the one thing that is never stored.
#pragma once

#include <string>
#include <vector>

#include "catalog/types.hpp"
#include "crypto/secret.hpp"
#include "engine/engine.hpp"

namespace dbbackup::job {

struct Request {
  engine::Scope scope;           // backup, restore, export
  engine::Options options = {};  // backup: of the job, over those of the database
  std::string mode = "create";   // restore
  bool integrity_check = true;   // restore
  std::string target;  // restore: database name; drill: scratch database, empty = own scratch space
  std::string file;    // restore --file, import: the archive; export: where to
  std::string format;  // export
  std::int64_t read_percent = 0;          // check
  std::vector<std::string> windows = {};  // start only inside, on the clocks of `timezone`
  std::string timezone;
  crypto::Secret passphrase = {};  // archives; never stored
  bool passphrase_lost = false;    // one was given, and a restart has forgotten it
};

std::string encode_request(const Request& request);
Request decode_request(const std::string& json);

}  // namespace dbbackup::job
