// Which share of a repository a scheduled check reads.
//
// However often the schedule fires, each check reads the share of the data that the time since the
// check before is of `reread_within`, beginning where that one ended: joined arcs of the ring of
// pack ids, so that everything is read again within the period. The position is kept in the
// catalog's settings, by the repository's id.
#pragma once

#include <string>

#include "job/services.hpp"
#include "repository/repository.hpp"

namespace dbbackup::job {

repository::ReadShare next_share(Services& services, const std::string& repository_id,
                                 util::TimePoint now);
// The check has read it; `begun` is when it did.
void note_share_read(Services& services, const std::string& repository_id,
                     const repository::ReadShare& share, util::TimePoint begun);

// Percent of the data, for people.
double percent_of(const repository::ReadShare& share);

}  // namespace dbbackup::job
