#include "schedule/zone.hpp"

#include <date/date.h>
#include <date/tz.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "schedule/posix_rule.hpp"
#include "util/error.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace dbbackup::schedule {

using util::cat;
using util::Error;
using util::ErrorCode;
using util::TimePoint;

namespace {

// Source: tzfile(5); Debian's build of the date library reads the same folder.
constexpr std::string_view kZoneFolder = "/usr/share/zoneinfo/";
// Not a zone but whatever the machine is set to.
constexpr std::string_view kMachineEntry = "localtime";
// The library's own mark for "until further notice".
constexpr date::sys_days kForEver{date::year::max() / date::December / 31};

const date::tzdb& database() {
  try {
    return date::get_tzdb();
  } catch (const std::exception& error) {
    throw Error(ErrorCode::unavailable, cat("cannot read the time zone database: ", error.what()),
                "install the package tzdata");
  }
}

std::vector<std::string> zone_names() {
  std::vector<std::string> names;
  for (const date::time_zone& zone : database().zones) {
    if (zone.name() != kMachineEntry) names.push_back(zone.name());
  }
  return names;
}

// "berlin", "New York" and "europe/berlin" mean one zone each; other slips are found by edit
// distance.
std::optional<std::string> similar_zone(std::string_view word) {
  const std::vector<std::string> names = zone_names();
  std::string wanted = util::to_lower(word);
  std::replace(wanted.begin(), wanted.end(), ' ', '_');
  for (const std::string& name : names) {
    const std::string lower = util::to_lower(name);
    if (lower == wanted || lower.substr(lower.rfind('/') + 1) == wanted) return name;
  }
  return util::nearest(word, names);
}

// The last line of the zone's TZif file, where a rule for all later years stands.
std::shared_ptr<const PosixRule> read_rule(const std::string& name) {
  const auto content = util::read_file(std::filesystem::path(cat(kZoneFolder, name)));
  if (!content) return nullptr;
  std::string_view text = util::as_text(*content);
  if (!text.ends_with('\n')) return nullptr;
  text.remove_suffix(1);
  const auto rule = PosixRule::parse(text.substr(text.rfind('\n') + 1));
  return rule ? std::make_shared<const PosixRule>(*rule) : nullptr;
}

}  // namespace

LocalSeconds TimeZone::Period::to_local(TimePoint time) const {
  return LocalSeconds(std::chrono::floor<util::Seconds>(time).time_since_epoch() + offset);
}

TimePoint TimeZone::Period::to_utc(LocalSeconds local) const {
  return TimePoint(local.time_since_epoch() - offset);
}

TimeZone::TimeZone(std::string name, const date::time_zone* zone)
    : name_(std::move(name)), zone_(zone), rule_(read_rule(name_)) {}

TimeZone TimeZone::load(std::string_view name) {
  const std::vector<date::time_zone>& zones = database().zones;
  const auto found = std::find_if(zones.begin(), zones.end(),
                                  [&](const date::time_zone& zone) { return zone.name() == name; });
  if (found == zones.end() || name == kMachineEntry) {
    const auto similar = similar_zone(name);
    throw Error(ErrorCode::usage, cat("unknown time zone '", util::printable(name), "'"),
                similar ? cat("did you mean ", *similar, "?")
                        : "zones are IANA names such as Europe/Berlin or UTC; timedatectl "
                          "list-timezones shows them");
  }
  return TimeZone(std::string(name), &*found);
}

TimeZone TimeZone::of_machine() {
  try {
    const date::time_zone* zone = date::current_zone();
    return TimeZone(zone->name(), zone);
  } catch (const std::exception& error) {
    if (!std::filesystem::exists("/etc/localtime")) return load("UTC");
    throw Error(ErrorCode::config_invalid,
                cat("cannot find the name of this machine's time zone: ", error.what()),
                "make /etc/localtime a link with timedatectl set-timezone, or configure a zone");
  }
}

TimeZone::Period TimeZone::period_at(TimePoint time) const {
  const auto at = std::chrono::floor<util::Seconds>(time);
  const date::sys_info info = zone_->get_info(at);
  if (rule_ && info.end == kForEver) {
    const PosixRule::Period period = rule_->period_at(at);
    return {std::max(period.begin, info.begin), period.end, period.offset};
  }
  return {info.begin, info.end, info.offset};
}

std::string TimeZone::format_local(TimePoint time) const {
  const Period period = period_at(time);
  const LocalSeconds local = period.to_local(time);
  const auto day = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(local - day);
  const std::chrono::hh_mm_ss offset(std::chrono::abs(period.offset));
  char text[64];
  std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d%c%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), period.offset.count() < 0 ? '-' : '+',
      static_cast<int>(offset.hours().count()), static_cast<int>(offset.minutes().count()));
  std::string result = text;
  if (offset.seconds().count() != 0) {
    std::snprintf(text, sizeof text, ":%02d", static_cast<int>(offset.seconds().count()));
    result += text;
  }
  return result;
}

}  // namespace dbbackup::schedule
