// The hours in which a queued run may start: the windows of the schedule it came from, read on that
// schedule's clocks. A run that waits for its turn until they close goes on waiting until they open
// again.
//
// Threads: a value.
#pragma once

#include <optional>
#include <vector>

#include "job/request.hpp"
#include "schedule/window.hpp"

namespace dbbackup::job {

class StartHours {
 public:
  StartHours() = default;  // any time
  // Errors: usage, when the time zone is not known (any more).
  explicit StartHours(const Request& request);

  bool any_time() const { return !zone_; }
  bool open_at(util::TimePoint time) const;

 private:
  std::optional<schedule::TimeZone> zone_;
  std::vector<schedule::Window> windows_;
};

}  // namespace dbbackup::job
