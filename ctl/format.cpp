#include "ctl/format.hpp"

#include <cmath>
#include <cstdio>

#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {
constexpr std::string_view kAbsent = "-";

std::optional<util::TimePoint> get_time(const json::Object& object, std::string_view key) {
  const auto text = json::get_string(object, key);
  return text ? util::parse_time(*text) : std::nullopt;
}

// The larger unit, and the smaller one where it adds something.
std::string two_units(std::int64_t large, const char* large_unit, std::int64_t small,
                      const char* small_unit) {
  if (small == 0) return cat(large, large_unit);
  return cat(large, large_unit, " ", small, small_unit);
}
}  // namespace

std::string format_count(std::int64_t count) {
  std::string text = std::to_string(count);
  const std::size_t first_digit = count < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first_digit + 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string format_span(util::Milliseconds span) {
  const std::int64_t ms = std::abs(span.count());
  if (ms < 1000) return cat(ms, " ms");
  const std::int64_t seconds = ms / 1000;
  if (seconds < 60) return cat(seconds, " s");
  const std::int64_t minutes = seconds / 60;
  if (minutes < 60) return two_units(minutes, "m", seconds % 60, "s");
  const std::int64_t hours = minutes / 60;
  if (hours < 24) return two_units(hours, "h", minutes % 60, "m");
  return two_units(hours / 24, "d", hours % 24, "h");
}

std::string format_age(util::TimePoint time, util::TimePoint now) {
  const util::Milliseconds age = now - time;
  if (age > util::Milliseconds(-1000) && age < util::Milliseconds(1000)) return "now";
  return age.count() > 0 ? util::cat(format_span(age), " ago") : util::cat("in ", format_span(age));
}

std::string format_time(util::TimePoint time) {
  std::string text = util::format_rfc3339(time).substr(0, 19);
  text[10] = ' ';
  return text + " UTC";
}

std::string format_countdown(util::Milliseconds span) {
  const std::int64_t seconds = (span.count() + 999) / 1000;
  char text[48];
  if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(seconds / 60),
                  static_cast<long long>(seconds % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(seconds / 3600),
                  static_cast<long long>(seconds / 60 % 60), static_cast<long long>(seconds % 60));
  }
  return text;
}

std::string age_of(const json::Object& object, std::string_view key, util::TimePoint now) {
  const auto time = get_time(object, key);
  return time ? format_age(*time, now) : std::string(kAbsent);
}

std::string time_of(const json::Object& object, std::string_view key, util::TimePoint now) {
  const auto time = get_time(object, key);
  return time ? cat(format_time(*time), " (", format_age(*time, now), ")") : std::string(kAbsent);
}

std::string size_of(const json::Object& object, std::string_view key) {
  const auto bytes = json::get_int(object, key);
  return bytes && *bytes >= 0 ? util::format_size(static_cast<std::uint64_t>(*bytes))
                              : std::string(kAbsent);
}

std::string count_of(const json::Object& object, std::string_view key) {
  const auto count = json::get_int(object, key);
  return count ? format_count(*count) : std::string(kAbsent);
}

std::string span_of(const json::Object& object, std::string_view key) {
  const auto seconds = json::get_number(object, key);
  if (!seconds) return std::string(kAbsent);
  return format_span(util::Milliseconds(std::llround(*seconds * 1000)));
}

std::string text_of(const json::Object& object, std::string_view key) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr) return std::string(kAbsent);
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  if (const auto text = json::get_string(object, key)) {
    return text->empty() ? std::string(kAbsent) : *text;
  }
  return json::write(*value);
}

}  // namespace dbbackup::ctl
