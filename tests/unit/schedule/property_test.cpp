// Random expressions, compared with an evaluator that is too simple to be wrong: it watches a wall
// clock minute by minute and remembers what the clock has shown so far.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "schedule/next.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::schedule {
namespace {

using namespace std::chrono_literals;
using std::chrono::floor;
using std::chrono::local_days;
using LocalMinutes = std::chrono::local_time<std::chrono::minutes>;

// One field as text, and the values it is to name; made side by side, so that the parser is not
// trusted.
struct Field {
  std::string text;
  std::set<unsigned> values;
  bool star = false;
  bool step = false;
};

struct Expression {
  Field minute, hour, day, month, weekday;
  bool last_day = false;
  std::set<std::pair<unsigned, unsigned>> nth;  // weekday, n

  std::string text() const {
    return util::cat(minute.text, " ", hour.text, " ", day.text, " ", month.text, " ",
                     weekday.text);
  }
  bool follows_clock() const { return hour.star || hour.step || hour.values.size() == 24; }

  bool names_day(local_days date) const {
    const std::chrono::year_month_day ymd(date);
    const auto number = static_cast<unsigned>(ymd.day());
    const unsigned on = std::chrono::weekday(date).c_encoding();
    if (month.values.count(static_cast<unsigned>(ymd.month())) == 0) return false;
    const bool is_last = (ymd.year() / ymd.month() / std::chrono::last).day() == ymd.day();
    const bool by_day = day.values.count(number) > 0 || (last_day && is_last);
    const bool by_weekday =
        weekday.values.count(on) > 0 || nth.count({on, (number - 1) / 7 + 1}) > 0;
    return day.star || weekday.star ? by_day && by_weekday : by_day || by_weekday;
  }
  bool names(LocalMinutes local) const {
    const auto date = floor<std::chrono::days>(local);
    const auto passed = static_cast<unsigned>((local - date).count());
    return minute.values.count(passed % 60) > 0 && hour.values.count(passed / 60) > 0 &&
           names_day(date);
  }
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_);
  }

  Expression expression() {
    Expression result;
    result.minute = field(0, 59, 4);
    result.hour = field(0, 23, 3);
    result.day = field(1, 31, 2);
    result.month = field(1, 12, 1);
    result.weekday = field(0, 6, 2);
    if (below(6) == 0) {
      result.last_day = true;
      append(result.day, "L");
    }
    if (below(6) == 0) {
      const unsigned on = below(7);
      const unsigned n = 1 + below(5);
      result.nth.insert({on, n});
      append(result.weekday, util::cat(on, "#", n));
    }
    return result;
  }

 private:
  // `weight` out of 5 fields are restricted.
  Field field(unsigned low, unsigned high, unsigned weight) {
    Field result;
    if (below(5) >= weight) return star(low, high);
    const unsigned elements = 1 + below(3);
    for (unsigned i = 0; i < elements; ++i) add_element(result, low, high);
    return result;
  }

  static Field star(unsigned low, unsigned high) {
    Field result{"*", {}, true, false};
    for (unsigned value = low; value <= high; ++value) result.values.insert(value);
    return result;
  }

  void add_element(Field& field, unsigned low, unsigned high) {
    const unsigned first = low + below(high - low + 1);
    const unsigned last = first + below(high - first + 1);
    const unsigned step = 1 + below(high - low + 1);
    switch (below(4)) {
      case 0:
        if (field.text.empty()) field.star = true;
        field.step = true;
        add(field, low, high, step);
        return append_text(field, util::cat("*/", step));
      case 1:
        field.step = true;
        add(field, first, last, step);
        return append_text(field, util::cat(first, "-", last, "/", step));
      case 2:
        add(field, first, last, 1);
        return append_text(field, util::cat(first, "-", last));
      default:
        add(field, first, first, 1);
        return append_text(field, std::to_string(first));
    }
  }

  static void add(Field& field, unsigned first, unsigned last, unsigned step) {
    for (unsigned value = first; value <= last; value += step) field.values.insert(value);
  }
  static void append_text(Field& field, const std::string& text) {
    field.text += (field.text.empty() ? "" : ",") + text;
  }
  // A lone star would swallow what is added to it.
  static void append(Field& field, const std::string& text) {
    if (field.text == "*") field = Field{};
    append_text(field, text);
  }

  std::mt19937 random_;
};

// Every fire in (from, to], by watching the clock.
std::vector<util::TimePoint> watch(const Expression& expression, const TimeZone& zone,
                                   util::TimePoint from, util::TimePoint to) {
  std::vector<util::TimePoint> fires;
  const auto shown_at = [&](util::TimePoint time) {
    return floor<std::chrono::minutes>(zone.period_at(time).to_local(time));
  };
  util::TimePoint time = from - 48h;
  LocalMinutes previous = shown_at(time);
  LocalMinutes furthest = previous;
  for (time += 1min; time <= to; time += 1min) {
    const LocalMinutes shown = shown_at(time);
    bool fires_now = expression.names(shown);
    if (!expression.follows_clock()) {
      fires_now = fires_now && shown > furthest;
      for (LocalMinutes skipped = furthest + 1min; skipped < shown; skipped += 1min) {
        const auto date = floor<std::chrono::days>(skipped);
        const bool date_was_shown =
            date == floor<std::chrono::days>(previous) || date == floor<std::chrono::days>(shown);
        fires_now = fires_now || (date_was_shown && expression.names(skipped));
      }
    }
    if (fires_now && time > from) fires.push_back(time);
    previous = shown;
    furthest = std::max(furthest, shown);
  }
  return fires;
}

util::TimePoint at(std::string_view text) {
  const auto time = util::parse_time(text);
  REQUIRE(time);
  return *time;
}

TEST_CASE("schedule: random expressions fire as a watched clock says", "[schedule]") {
  struct Place {
    const char* zone;
    const char* from;  // some days before a change of the clocks
  };
  const Place places[] = {
      {"UTC", "2028-02-27T00:00:00Z"},
      {"Europe/Berlin", "2026-03-27T00:00:00Z"},
      {"Europe/Berlin", "2026-10-23T00:00:00Z"},
      {"America/New_York", "2026-03-06T00:00:00Z"},
      {"America/New_York", "2026-10-30T00:00:00Z"},
      {"Australia/Lord_Howe", "2026-04-03T00:00:00Z"},
      {"Australia/Lord_Howe", "2026-10-02T00:00:00Z"},
      {"America/Sao_Paulo", "2018-11-02T00:00:00Z"},
      {"America/Sao_Paulo", "2018-02-16T00:00:00Z"},
      {"Asia/Beirut", "2026-03-27T00:00:00Z"},
      {"Pacific/Apia", "2011-12-28T12:00:00Z"},
      {"Africa/Casablanca", "2026-02-13T00:00:00Z"},
      {"Europe/Dublin", "2045-03-24T00:00:00Z"},
      {"Pacific/Kwajalein", "1993-08-19T00:00:00Z"},
      {"America/Nuuk", "2026-10-23T00:00:00Z"},
  };
  Generator generator(20261121);
  int fires_compared = 0;
  for (const Place& place : places) {
    const TimeZone zone = TimeZone::load(place.zone);
    const util::TimePoint from = at(place.from);
    const util::TimePoint to = from + 96h;
    for (int i = 0; i < 60; ++i) {
      const Expression expression = generator.expression();
      CAPTURE(place.zone, place.from, expression.text());
      std::vector<util::TimePoint> expected;
      std::vector<util::TimePoint> found;
      try {
        const CronExpression cron = CronExpression::parse(expression.text());
        REQUIRE(cron.fields().follows_clock == expression.follows_clock());
        expected = watch(expression, zone, from, to);
        auto fire = next_after(cron, from, zone);
        while (fire && fire->at <= to) {
          found.push_back(fire->at);
          fire = next_after(cron, fire->at, zone);
        }
      } catch (const util::Error& error) {
        REQUIRE_THAT(error.message(), Catch::Contains("never fires"));
      }
      REQUIRE(found == expected);
      fires_compared += static_cast<int>(found.size());
    }
  }
  CHECK(fires_compared > 10000);
}

TEST_CASE("schedule: random expressions name the days that the calendar says", "[schedule]") {
  Generator generator(7);
  for (int i = 0; i < 300; ++i) {
    const Expression expression = generator.expression();
    CAPTURE(expression.text());
    // Eight years hold every kind of year but the centuries.
    const local_days begin(std::chrono::year(2024) / 1 / 1);
    const local_days end(std::chrono::year(2032) / 1 / 1);
    std::vector<local_days> expected;
    for (local_days date = begin; date < end; date += std::chrono::days(1)) {
      if (expression.names_day(date)) expected.push_back(date);
    }
    std::vector<local_days> found;
    try {
      const CronFields fields = CronExpression::parse(expression.text()).fields();
      LocalSeconds from = begin;
      while (const auto match = fields.first_match(from, end)) {
        found.push_back(floor<std::chrono::days>(*match));
        from = found.back() + std::chrono::days(1);
      }
    } catch (const util::Error&) {
      REQUIRE(expected.empty());
    }
    REQUIRE(found == expected);
  }
}

}  // namespace
}  // namespace dbbackup::schedule
