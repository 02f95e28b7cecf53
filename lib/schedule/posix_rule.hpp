// The yearly daylight-saving rule at the end of a TZif file, which governs all time after the
// file's last listed change.
//
// The date library reads only the listed changes. Debian's files list them until 2037, other builds
// of the same data hardly any; without this rule a zone would silently stay in its last offset for
// ever. Source: RFC 8536 section 3.3 (footer) and POSIX.1-2017 section 8.3 (TZ variable).
//
// Threads: a value.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace dbbackup::schedule {

class PosixRule {
 public:
  struct Period {
    std::chrono::sys_seconds begin;
    std::chrono::sys_seconds end;
    std::chrono::seconds offset;  // east of UTC is positive
  };

  // Empty for text that is no such rule and for a zone without daylight saving: then the last
  // listed offset is right.
  static std::optional<PosixRule> parse(std::string_view footer);

  Period period_at(std::chrono::sys_seconds time) const;

 private:
  // "Mm.w.d/time": weekday `d` of week `w` (5 is the last) of month `m`, `time` after local
  // midnight.
  struct Change {
    unsigned month;
    unsigned week;
    unsigned weekday;
    std::chrono::seconds time;

    std::chrono::local_seconds in(std::chrono::year year) const;
  };
  class Reader;

  std::chrono::seconds standard_{};
  std::chrono::seconds daylight_{};
  Change to_daylight_{};
  Change to_standard_{};
};

}  // namespace dbbackup::schedule
