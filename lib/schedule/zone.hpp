// A time zone of the IANA database: which offset from UTC its clocks have at an instant, and until
// when.
//
// Everything about daylight saving in this room follows from one question, period_at(): between two
// changes local time is UTC plus a constant. The database is the machine's own (package tzdata); a
// zone is read once, so a daemon must be restarted to see an updated one.
//
// Threads: a value; safe from any thread. Owns: nothing that must be released; the database lives
// as long as the process.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "schedule/cron_fields.hpp"
#include "util/time.hpp"

namespace date {
class time_zone;
}

namespace dbbackup::schedule {

class PosixRule;

class TimeZone {
 public:
  // A stretch [begin, end) without a change of the clocks.
  struct Period {
    util::TimePoint begin;
    util::TimePoint end;
    util::Seconds offset;  // east of UTC is positive

    LocalSeconds to_local(util::TimePoint time) const;
    util::TimePoint to_utc(LocalSeconds local) const;
  };

  // By IANA name, spelled exactly: "Europe/Berlin", "UTC".
  // Errors: usage, with the nearest name as the hint; unavailable, when the machine has no
  // database.
  static TimeZone load(std::string_view name);
  // The zone of this machine: what /etc/localtime points to; UTC when there is none (Source:
  // localtime(5)). Errors: config_invalid, when /etc/localtime is a file without a name.
  static TimeZone of_machine();

  const std::string& name() const { return name_; }
  Period period_at(util::TimePoint time) const;

  // RFC 3339 with the zone's offset and without fractions: 2026-03-29T03:00:00+02:00. Offsets
  // before about 1930 may have seconds, which are then added as in ISO 8601-2.
  std::string format_local(util::TimePoint time) const;

 private:
  TimeZone(std::string name, const date::time_zone* zone);

  std::string name_;
  const date::time_zone* zone_;
  std::shared_ptr<const PosixRule> rule_;  // for the time after the database's last listed change
};

}  // namespace dbbackup::schedule
