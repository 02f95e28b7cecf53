// The `owner` object: which daemon may write (FORMAT.md section 9).
//
// Opening notes who owns it; the first write of a process claims it under a new fence and the
// process's own session name. From then on every other process that had it is fenced off, also an
// earlier one of the same daemon that was stopped for hours and does not know.
//
// Threads: safe from any thread.
// Errors: conflict, naming the owner and how to take over; verification_failed for a damaged
// object.
#pragma once

#include <mutex>
#include <stop_token>
#include <string>

#include "storage/object_store.hpp"

namespace dbbackup::repository {

class Ownership {
 public:
  // Takes the repository when nobody or `daemon` itself owns it. `session` is the same for all
  // openings that belong together, those of one process; empty makes a new one.
  // Requires: the store and the clock outlive this.
  Ownership(storage::ObjectStore& store, std::string daemon, std::string session,
            const util::Clock& clock);
  // Claims it when this session has not yet, and makes sure that it is still ours; to be called
  // before anything becomes visible or is deleted.
  void require(const std::stop_token& stop = {});

  static void take_over(storage::ObjectStore& store, const std::string& daemon,
                        const util::Clock& clock);

 private:
  storage::ObjectStore& store_;
  const std::string daemon_;
  const std::string session_;
  const util::Clock& clock_;
  std::mutex mutex_;
  std::int64_t fence_ = 0;  // as last seen while it was ours
  bool claimed_ = false;
};

// Errors: verification_failed, when the object is damaged.
void check_owner_object(util::ByteView content);

}  // namespace dbbackup::repository
