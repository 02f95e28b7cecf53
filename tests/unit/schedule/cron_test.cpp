#include "schedule/cron.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::schedule {
namespace {

std::vector<unsigned> members(std::uint64_t set) {
  std::vector<unsigned> result;
  for (unsigned i = 0; i < 64; ++i) {
    if (((set >> i) & 1U) != 0) result.push_back(i);
  }
  return result;
}

CronFields fields(std::string_view text) { return CronExpression::parse(text).fields(); }

util::Error error_of(std::string_view text) {
  try {
    CronExpression::parse(text);
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("'" << text << "' was accepted");
  return {util::ErrorCode::internal, ""};
}

using Set = std::vector<unsigned>;

TEST_CASE("schedule: fields name their members", "[schedule]") {
  CHECK(members(fields("5 * * * *").minutes) == Set{5});
  CHECK(members(fields("1,3,2,3 * * * *").minutes) == Set{1, 2, 3});
  CHECK(members(fields("10-13 * * * *").minutes) == Set{10, 11, 12, 13});
  CHECK(members(fields("10-20/5 * * * *").minutes) == Set{10, 15, 20});
  CHECK(members(fields("*/20 * * * *").minutes) == Set{0, 20, 40});
  CHECK(members(fields("*/60 * * * *").minutes) == Set{0});
  CHECK(members(fields("59,0-1,*/30 * * * *").minutes) == Set{0, 1, 30, 59});
  CHECK(members(fields("* * * * *").minutes).size() == 60);
  CHECK(members(fields("0 */6 * * *").hours) == Set{0, 6, 12, 18});
  CHECK(members(fields("0 0 */10 * *").days) == Set{1, 11, 21, 31});
  CHECK(members(fields("0 0 1 */5 *").months) == Set{1, 6, 11});
  CHECK(members(fields("0 0 1 jan,Mar-MAY *").months) == Set{1, 3, 4, 5});
  CHECK(members(fields("0 0 * * mon-fri").weekdays) == Set{1, 2, 3, 4, 5});
  CHECK(members(fields("0 0 * * MON,wed").weekdays) == Set{1, 3});
  CHECK(members(fields("0 0 * * */2").weekdays) == Set{0, 2, 4, 6});
  CHECK(members(fields("007 0 * * *").minutes) == Set{7});
  CHECK(members(fields("  5\t4  * * *  ").minutes) == Set{5});
}

TEST_CASE("schedule: Sunday is 0 and 7 and may end or begin a range", "[schedule]") {
  CHECK(members(fields("0 0 * * 7").weekdays) == Set{0});
  CHECK(members(fields("0 0 * * sun").weekdays) == Set{0});
  CHECK(members(fields("0 0 * * 5-7").weekdays) == Set{0, 5, 6});
  CHECK(members(fields("0 0 * * fri-sun").weekdays) == Set{0, 5, 6});
  CHECK(members(fields("0 0 * * sun-tue").weekdays) == Set{0, 1, 2});
  CHECK(members(fields("0 0 * * 7-2").weekdays) == Set{0, 1, 2});
  CHECK(members(fields("0 0 * * sun-sun").weekdays) == Set{0});
  CHECK(members(fields("0 0 * * 0-7").weekdays).size() == 7);
  CHECK(members(fields("0 0 * * 1-7/2").weekdays) == Set{0, 1, 3, 5});
}

TEST_CASE("schedule: L and weekday#n", "[schedule]") {
  CHECK(fields("0 0 L * *").last_day);
  CHECK(fields("0 0 l * *").days == 0);
  const CronFields mixed = fields("0 0 15,L * *");
  CHECK(mixed.last_day);
  CHECK(members(mixed.days) == Set{15});
  const CronFields nth = fields("0 0 * * mon#2,7#5,fri#1,fri#3,wed");
  CHECK(nth.nth_weekdays == std::array<std::uint8_t, 7>{16, 2, 0, 0, 0, 5, 0});
  CHECK(members(nth.weekdays) == Set{3});
}

TEST_CASE("schedule: matching days of a month", "[schedule]") {
  using namespace std::chrono_literals;
  using std::chrono::February;
  using std::chrono::November;
  // November 2026 begins on a Sunday; February 2027 on a Monday.
  const auto days_of = [](std::string_view text, std::chrono::year_month month) {
    return members(fields(text).matching_days(month));
  };
  CHECK(days_of("0 0 L * *", 2026y / February) == Set{28});
  CHECK(days_of("0 0 L * *", 2028y / February) == Set{29});
  CHECK(days_of("0 0 L * *", 2100y / February) == Set{28});
  CHECK(days_of("0 0 31 * *", 2026y / November).empty());
  CHECK(days_of("0 0 * * mon#2", 2026y / November) == Set{9});
  CHECK(days_of("0 0 * * mon#5", 2026y / November) == Set{30});
  CHECK(days_of("0 0 * * tue#5", 2026y / November).empty());
  CHECK(days_of("0 0 * 2 *", 2026y / November).empty());
  // Both restricted: either. One begins with a star: both. Source: crontab(5).
  CHECK(days_of("0 0 13 * fri", 2026y / November) == Set{6, 13, 20, 27});
  CHECK(days_of("0 0 1,15 * fri#2", 2026y / November) == Set{1, 13, 15});
  CHECK(days_of("0 0 */10 * sun", 2026y / November) == Set{1});
  CHECK(days_of("0 0 1-7 * */7", 2026y / November) == Set{1});
  CHECK(days_of("0 0 1-31 * sun", 2026y / November).size() == 30);
  CHECK(days_of("0 0 L * mon", 2027y / February) == Set{1, 8, 15, 22, 28});
}

TEST_CASE("schedule: names stand for their fields", "[schedule]") {
  const auto same = [](std::string_view name, std::string_view text) {
    const CronFields a = fields(name);
    const CronFields b = fields(text);
    return a.minutes == b.minutes && a.hours == b.hours && a.days == b.days &&
           a.months == b.months && a.weekdays == b.weekdays && a.follows_clock == b.follows_clock;
  };
  CHECK(same("@yearly", "0 0 1 1 *"));
  CHECK(same("@annually", "0 0 1 1 *"));
  CHECK(same("@monthly", "0 0 1 * *"));
  CHECK(same("@weekly", "0 0 * * 0"));
  CHECK(same("@daily", "0 0 * * *"));
  CHECK(same("@midnight", "0 0 * * *"));
  CHECK(same("@Hourly", "0 * * * *"));
  CHECK(CronExpression::parse(" @daily ").text() == "@daily");
}

TEST_CASE("schedule: @every takes a duration", "[schedule]") {
  using namespace std::chrono_literals;
  CHECK(CronExpression::parse("@every 90m").interval() == util::Milliseconds(90min));
  CHECK(CronExpression::parse("@every  1h30m").interval() == util::Milliseconds(90min));
  CHECK(CronExpression::parse("@EVERY 1s").interval() == util::Milliseconds(1s));
  CHECK_FALSE(CronExpression::parse("* * * * *").interval());
}

TEST_CASE("schedule: what follows the clock", "[schedule]") {
  for (const char* text : {"0 * * * *", "*/5 * * * *", "0 */2 * * *", "0 0-6/2 * * *", "@hourly",
                           "0 1,*/4 * * *", "0 0-23 * * *", "0 0-11,12-23 * * *"}) {
    CAPTURE(text);
    CHECK(fields(text).follows_clock);
  }
  for (const char* text : {"0 2 * * *", "*/10 2 * * *", "* 1-5 * * *", "0 1,2,3 * * *", "@daily"}) {
    CAPTURE(text);
    CHECK_FALSE(fields(text).follows_clock);
  }
}

TEST_CASE("schedule: errors name the field, the text and what to write", "[schedule]") {
  struct Row {
    const char* text;
    const char* message;
    const char* hint;
  };
  const Row rows[] = {
      {"", "has 0 fields instead of 5", "30 2 * * *"},
      {"* * * *", "has 4 fields instead of 5", "30 2 * * *"},
      {"0 0 2 * * *", "has 6 fields instead of 5", "seconds and years"},
      {"60 * * * *", "minute: 60 is not between 0 and 59", "minute takes 0-59"},
      {"0 24 * * *", "hour: 24 is not between 0 and 23", "hour takes 0-23"},
      {"0 0 0 * *", "day-of-month: 0 is not between 1 and 31", "L for the last day"},
      {"0 0 32 * *", "day-of-month: 32 is not between 1 and 31", "1-31"},
      {"0 0 * 13 *", "month: 13 is not between 1 and 12", "jan-dec"},
      {"0 0 * 0 *", "month: 0 is not between 1 and 12", "jan-dec"},
      {"0 0 * * 8", "day-of-week: 8 is not between 0 and 7", "0 and 7 are Sunday"},
      {"x * * * *", "minute: 'x' is not a value", "0-59"},
      {"-5 * * * *", "minute: '-5' is not a value", "0-59"},
      {"5- * * * *", "minute: '5-' is not a value", "0-59"},
      {"1-2-3 * * * *", "minute: '2-3' is not a value", "0-59"},
      {"99999999999999999999 * * * *", "is not a value", "0-59"},
      {"** * * * *", "minute: '**' is not a value", "0-59"},
      {"0 0 * january *", "month: 'january' is not a value", "jan-dec"},
      {"0 0 * * monday", "day-of-week: 'monday' is not a value", "sun-sat"},
      {"0 0 * mon *", "month: 'mon' is not a value", "jan-dec"},
      {"1,,2 * * * *", "minute: '1,,2' has an empty element", "1,15,30"},
      {"1, * * * *", "minute: '1,' has an empty element", "1,15,30"},
      {"? * * * *", "minute: '?' is not cron", "write *"},
      {"5/10 * * * *", "minute: '5/10': a step needs a range", "5-59/10"},
      {"0 2/4 * * *", "hour: '2/4': a step needs a range", "2-23/4"},
      {"*/0 * * * *", "minute: '*/0': the step", "*/15"},
      {"*/x * * * *", "minute: '*/x': the step", "*/15"},
      {"*/ * * * *", "minute: '*/': the step", "*/15"},
      {"*/5/5 * * * *", "minute: '*/5/5': the step", "*/15"},
      {"*/90 * * * *", "minute: '*/90': the step is longer", "@every 90m"},
      {"0 0 * * fri-mon", "day-of-week: range 'fri-mon' runs backwards", "fri-sat,sun-mon"},
      {"0 0 * * 5-1", "day-of-week: range '5-1' runs backwards", "5-6,0-1"},
      {"0 22-4 * * *", "hour: range '22-4' runs backwards", "22-23,0-4"},
      {"0 0 1 nov-feb *", "month: range 'nov-feb' runs backwards", "nov-dec,jan-feb"},
      {"L * * * *", "minute: 'L' belongs to day-of-month only", "0-59"},
      {"0 0 * * L", "day-of-week: 'L' belongs to day-of-month only", "mon#2"},
      {"0 0 L-3 * *", "day-of-month: 'L' is not a value", "L for the last day"},
      {"0 0 * * 5L", "day-of-week: '5L' is not a value", "sun-sat"},
      {"0 0 mon#2 * *", "day-of-month: 'mon#2': # belongs to day-of-week only", "1-31"},
      {"0 0 * * mon#6", "day-of-week: 'mon#6' is not weekday#n", "mon#2"},
      {"0 0 * * mon#0", "day-of-week: 'mon#0' is not weekday#n", "mon#2"},
      {"0 0 * * mon#", "day-of-week: 'mon#' is not weekday#n", "mon#2"},
      {"0 0 * * #2", "day-of-week: '#2' is not a value", "mon#2"},
      {"0 0 * * mon-fri#1", "day-of-week: 'mon-fri#1' is not weekday#n", "mon#2"},
      {"0 0 * * *#1", "day-of-week: '*#1' is not weekday#n", "mon#2"},
      {"@dayly", "'@dayly' is not a known name", "did you mean @daily?"},
      {"@quarterly", "'@quarterly' is not a known name", "@"},
      {"@", "'@' is not a known name", "@"},
      {"@reboot", "@reboot is not supported", "--catch-up once"},
      {"@daily 5", "'5' after @daily means nothing", "@daily alone"},
      {"@every", "'' is not a duration", "@every 90m"},
      {"@every 90", "'90' is not a duration", "@every 90m"},
      {"@every 0", "'0' is not a duration", "@every 90m"},
      {"@every 500ms", "'500ms' is not a duration", "@every 90m"},
      {"@every -5m", "'-5m' is not a duration", "@every 90m"},
      {"0 0 30 2 *", "never fires", "no date"},
      {"0 0 31 2,4,6,9,11 *", "never fires", "no date"},
      {"0 0 31 2 */2", "never fires", "no date"},
      {"0 0 30-31 feb *", "never fires", "no date"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const util::Error error = error_of(row.text);
    CHECK(error.code() == util::ErrorCode::usage);
    CHECK_THAT(error.message(), Catch::Contains(row.message));
    CHECK_THAT(error.message(), Catch::StartsWith(util::cat("cron expression '", row.text, "'")));
    CHECK_THAT(error.hint(), Catch::Contains(row.hint));
  }
}

TEST_CASE("schedule: hostile text cannot forge output or grow without bound", "[schedule]") {
  CHECK_THAT(error_of("a\x1b[2J * * * *").message(), !Catch::Contains("\x1b"));
  std::string longest;
  for (int i = 0; i < 1000; ++i) longest += "1,";
  CHECK_THAT(error_of(longest + "1 * * * *").message(), Catch::Contains("longer than 1024"));
}

TEST_CASE("schedule: rare expressions that do fire are accepted", "[schedule]") {
  for (const char* text : {"0 0 29 2 *", "0 0 29 2 */7", "0 0 * 2 mon#5", "0 0 30 2 mon",
                           "0 0 L 2 *", "59 23 31 12 *"}) {
    CAPTURE(text);
    CHECK_NOTHROW(CronExpression::parse(text));
  }
}

}  // namespace
}  // namespace dbbackup::schedule
