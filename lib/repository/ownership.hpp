// The `owner` object: which daemon may write (FORMAT.md section 9).
//
// Threads: immutable after construction.
// Errors: conflict, naming the owner and how to take over; verification_failed for a damaged
// object.
#pragma once

#include <string>

#include "storage/object_store.hpp"

namespace dbbackup::repository {

class Ownership {
 public:
  // Takes the repository when nobody or `daemon` itself owns it. Requires: the store outlives this.
  Ownership(storage::ObjectStore& store, std::string daemon, const util::Clock& clock);
  // Whether it is still ours; to be called before anything becomes visible or is deleted.
  void require() const;

  static void take_over(storage::ObjectStore& store, const std::string& daemon,
                        const util::Clock& clock);

 private:
  storage::ObjectStore& store_;
  const std::string daemon_;
  std::int64_t fence_ = 0;
};

// Errors: verification_failed, when the object is damaged.
void check_owner_object(util::ByteView content);

}  // namespace dbbackup::repository
