#include "util/time.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace dbbackup::util {

TimePoint SystemClock::now() const {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
}
SteadyPoint SystemClock::steady_now() const { return std::chrono::steady_clock::now(); }

std::int64_t to_unix_ms(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint from_unix_ms(std::int64_t ms) { return TimePoint(Milliseconds(ms)); }

std::string format_rfc3339(TimePoint time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const auto ms = (time - day).count();
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(ms / 3600000),
                static_cast<int>(ms / 60000 % 60), static_cast<int>(ms / 1000 % 60),
                static_cast<int>(ms % 1000));
  return text;
}

namespace {
// Reads exactly `width` digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + width, value);
  if (status != std::errc() || end != text.data() + width || text.front() == '-') {
    return std::nullopt;
  }
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}
}  // namespace

std::optional<TimePoint> parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto y = take_digits(text, 4);
  if (!y || !take(text, "-")) return std::nullopt;
  const auto mo = take_digits(text, 2);
  if (!mo || !take(text, "-")) return std::nullopt;
  const auto d = take_digits(text, 2);
  if (!d) return std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*mo)},
                            day{static_cast<unsigned>(*d)}};
  if (!date.ok()) return std::nullopt;
  TimePoint result = sys_days{date};
  if (text.empty()) return result;
  if (!take(text, "Tt ")) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h || *h > 23 || !take(text, ":")) return std::nullopt;
  const auto mi = take_digits(text, 2);
  if (!mi || *mi > 59) return std::nullopt;
  result += hours(*h) + minutes(*mi);
  if (take(text, ":")) {
    const auto s = take_digits(text, 2);
    if (!s || *s > 60) return std::nullopt;
    result += seconds(*s);
    if (take(text, ".")) {
      int scale = 100;
      std::size_t digits = 0;
      while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        result += Milliseconds((text.front() - '0') * scale);
        scale /= 10;
        text.remove_prefix(1);
        ++digits;
      }
      if (digits == 0) return std::nullopt;
    }
  }
  if (text.empty() || take(text, "Zz")) return text.empty() ? std::optional(result) : std::nullopt;
  const bool east = text.front() == '+';
  if (!take(text, "+-")) return std::nullopt;
  const auto oh = take_digits(text, 2);
  if (!oh) return std::nullopt;
  take(text, ":");
  const auto om = take_digits(text, 2);
  if (!om || *oh > 23 || *om > 59 || !text.empty()) return std::nullopt;
  const auto offset = hours(*oh) + minutes(*om);
  return east ? result - offset : result + offset;
}

namespace {
struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array kUnits{Unit{"ms", 1},       Unit{"y", 31536000000}, Unit{"w", 604800000},
                            Unit{"d", 86400000}, Unit{"h", 3600000},     Unit{"min", 60000},
                            Unit{"m", 60000},    Unit{"s", 1000}};
constexpr std::int64_t kLongestMs = 31536000000LL * 1000;
}  // namespace

std::optional<Milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return Milliseconds(0);
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || value < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      const bool longer = found == nullptr || unit.name.size() > found->name.size();
      if (text.starts_with(unit.name) && longer) found = &unit;
    }
    if (found == nullptr || value > kLongestMs / found->ms) return std::nullopt;
    total += value * found->ms;
    if (total > kLongestMs) return std::nullopt;
    text.remove_prefix(found->name.size());
  }
  return Milliseconds(total);
}

std::string format_duration(Milliseconds duration) {
  std::int64_t ms = duration.count();
  if (ms == 0) return "0";
  std::string text = ms < 0 ? "-" : "";
  if (ms < 0) ms = -ms;
  static constexpr std::array<Unit, 5> kOrder{Unit{"d", 86400000}, Unit{"h", 3600000},
                                              Unit{"m", 60000}, Unit{"s", 1000}, Unit{"ms", 1}};
  for (const Unit& unit : kOrder) {
    if (ms >= unit.ms) {
      text += std::to_string(ms / unit.ms);
      text += unit.name;
      ms %= unit.ms;
    }
  }
  return text;
}

}  // namespace dbbackup::util
