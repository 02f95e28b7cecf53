#include "schedule/backoff.hpp"

#include <algorithm>

namespace dbbackup::schedule {

util::Milliseconds backoff_delay(int attempt, util::Milliseconds base, util::Milliseconds cap,
                                 double random01) {
  util::Milliseconds delay = std::min(base, cap);
  for (int doubled = 1; doubled < attempt && delay > delay.zero() && delay < cap; ++doubled) {
    delay = delay > cap / 2 ? cap : delay * 2;
  }
  const util::Milliseconds half = delay / 2;
  const auto chance = static_cast<double>((delay - half).count()) * std::clamp(random01, 0.0, 1.0);
  return half + util::Milliseconds(static_cast<std::int64_t>(chance));
}

}  // namespace dbbackup::schedule
