// Numbers and times as people read them. Scripts use the JSON output, which is exact; here two
// units are enough.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/json.hpp"
#include "util/time.hpp"

namespace dbbackup::ctl {

// "1,234,567"
std::string format_count(std::int64_t count);
// "340 ms", "12 s", "5m 12s", "3h 5m", "2d 4h"
std::string format_span(util::Milliseconds span);
// "3h 5m ago", "in 12 s", "now"
std::string format_age(util::TimePoint time, util::TimePoint now);
// "2026-11-21 09:33:00 UTC"
std::string format_time(util::TimePoint time);
// "0:45", "1:05:09"
std::string format_countdown(util::Milliseconds span);

// The same for members of a reply; "-" where the member is missing, null or no time or number.
std::string age_of(const util::json::Object& object, std::string_view key, util::TimePoint now);
// "2026-11-21 09:33:00 UTC (3h 5m ago)"
std::string time_of(const util::json::Object& object, std::string_view key, util::TimePoint now);
std::string size_of(const util::json::Object& object, std::string_view key);
std::string count_of(const util::json::Object& object, std::string_view key);
std::string span_of(const util::json::Object& object, std::string_view key);  // Units: seconds
std::string text_of(const util::json::Object& object, std::string_view key);

}  // namespace dbbackup::ctl
