#include "schedule/cron.hpp"

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::schedule {

using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

constexpr std::size_t kLongestText = 1024;
constexpr util::Milliseconds kShortestInterval = util::Seconds(1);

constexpr std::array<std::string_view, 12> kMonthNames{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdayNames{"sun", "mon", "tue", "wed",
                                                        "thu", "fri", "sat"};

// Source: crontab(5), "The time and date fields".
struct FieldRule {
  std::string_view name;
  unsigned low;
  unsigned high;  // what `*` reaches
  std::span<const std::string_view> names;
  std::string_view takes;
};
constexpr FieldRule kMinute{"minute", 0, 59, {}, "0-59"};
constexpr FieldRule kHour{"hour", 0, 23, {}, "0-23"};
constexpr FieldRule kDay{"day-of-month", 1, 31, {}, "1-31 or L for the last day"};
constexpr FieldRule kMonth{"month", 1, 12, kMonthNames, "1-12 or jan-dec"};
constexpr FieldRule kWeekday{"day-of-week", 0, 6, kWeekdayNames,
                             "0-7 (0 and 7 are Sunday), sun-sat, or weekday#n such as mon#2"};

struct Alias {
  std::string_view name;
  std::string_view fields;
};
constexpr std::array kAliases{Alias{"@yearly", "0 0 1 1 *"},  Alias{"@annually", "0 0 1 1 *"},
                              Alias{"@monthly", "0 0 1 * *"}, Alias{"@weekly", "0 0 * * 0"},
                              Alias{"@daily", "0 0 * * *"},   Alias{"@midnight", "0 0 * * *"},
                              Alias{"@hourly", "0 * * * *"}};

[[noreturn]] void fail(std::string_view expression, std::string_view what, std::string hint) {
  throw Error(ErrorCode::usage, cat("cron expression '", util::printable(expression), "': ", what),
              std::move(hint));
}

// What one field says, whichever field it is.
struct FieldValue {
  std::uint64_t members = 0;
  bool begins_with_star = false;
  bool has_step = false;
  bool last_day = false;
  std::array<std::uint8_t, 7> nth_weekdays{};
};

class FieldParser {
 public:
  FieldParser(std::string_view expression, const FieldRule& rule, std::string_view field)
      : expression_(expression), rule_(rule), field_(field) {}

  FieldValue parse() {
    value_.begins_with_star = field_.starts_with('*');
    for (const std::string& element : util::split(field_, ',')) parse_element(element);
    return value_;
  }

 private:
  bool is_weekday() const { return &rule_ == &kWeekday; }

  [[noreturn]] void fail_field(std::string_view what, std::string hint) const {
    fail(expression_, cat(rule_.name, ": ", what), std::move(hint));
  }
  [[noreturn]] void fail_value(std::string_view text) const {
    fail_field(
        cat("'", util::printable(text.empty() ? field_ : text), "' is not a value of this field"),
        cat(rule_.name, " takes ", rule_.takes));
  }

  void parse_element(std::string_view element) {
    if (element.empty()) {
      fail_field(cat("'", util::printable(field_), "' has an empty element"),
                 "write lists without blanks, for example 1,15,30");
    }
    if (element == "?") fail_field("'?' is not cron", "write * for any value");
    if (util::to_lower(element) == "l") return parse_last_day(element);
    if (element.find('#') != std::string_view::npos) return parse_nth_weekday(element);

    const std::size_t slash = element.find('/');
    const std::string_view body = element.substr(0, slash);
    unsigned step = 1;
    if (slash != std::string_view::npos)
      step = parse_step(element, body, element.substr(slash + 1));
    const auto [first, last] = parse_range(body);
    for (unsigned member = first; member <= last; member += step) add(member);
  }

  void parse_last_day(std::string_view element) {
    if (&rule_ != &kDay) {
      fail_field(cat("'", element, "' belongs to day-of-month only"),
                 cat(rule_.name, " takes ", rule_.takes));
    }
    value_.last_day = true;
  }

  void parse_nth_weekday(std::string_view element) {
    if (!is_weekday()) {
      fail_field(cat("'", util::printable(element), "': # belongs to day-of-week only"),
                 cat(rule_.name, " takes ", rule_.takes));
    }
    const std::size_t hash = element.find('#');
    const auto nth = util::parse_int(element.substr(hash + 1));
    const std::string_view day = element.substr(0, hash);
    if (!nth || *nth < 1 || *nth > 5 || day.find_first_of("-*/") != std::string_view::npos) {
      fail_field(cat("'", util::printable(element), "' is not weekday#n with n from 1 to 5"),
                 "write for example mon#2 for the second Monday, or mon#1,mon#3");
    }
    value_.nth_weekdays[parse_value(day) % 7] |= static_cast<std::uint8_t>(1U << (*nth - 1));
  }

  unsigned parse_step(std::string_view element, std::string_view body, std::string_view text) {
    if (body != "*" && body.find('-') == std::string_view::npos) {
      parse_value(body);
      fail_field(cat("'", util::printable(element), "': a step needs a range or *"),
                 cat("write ", body, "-", rule_.high, "/", util::printable(text),
                     ", or */n for every n-th value"));
    }
    const auto step = util::parse_int(text);
    if (!step || *step < 1) {
      fail_field(cat("'", util::printable(element), "': the step is not a number of at least 1"),
                 "write for example */15");
    }
    const unsigned size = rule_.high - rule_.low + 1;
    if (*step > size) {
      fail_field(cat("'", util::printable(element), "': the step is longer than the field's ", size,
                     " values"),
                 "steps start again with each hour, day, month or year; for a steady interval "
                 "write @every, for example @every 90m");
    }
    value_.has_step = true;
    return static_cast<unsigned>(*step);
  }

  std::pair<unsigned, unsigned> parse_range(std::string_view body) {
    if (body == "*") return {rule_.low, rule_.high};
    const std::size_t dash = body.find('-');
    unsigned first = parse_value(body.substr(0, dash));
    if (dash == std::string_view::npos) return {first, first};
    const std::string_view last_text = body.substr(dash + 1);
    unsigned last = parse_value(last_text);
    // A week may end with Sunday: `fri-sun` is `5-7`.
    if (is_weekday() && first > 0 && util::to_lower(last_text) == "sun") last = 7;
    // ... or begin with it: `7-2` is `0-2`.
    if (is_weekday() && first == 7 && last < 7) first = 0;
    if (first > last) {
      const bool by_name = body.front() < '0' || body.front() > '9';
      fail_field(cat("range '", body, "' runs backwards"),
                 cat("write it as two ranges: ", body.substr(0, dash), "-",
                     show(rule_.high, by_name), ",", show(rule_.low, by_name), "-", last_text));
    }
    return {first, last};
  }

  // A number or a name; for the weekday also 7.
  unsigned parse_value(std::string_view text) const {
    const std::string lower = util::to_lower(text);
    for (unsigned i = 0; i < rule_.names.size(); ++i) {
      if (rule_.names[i] == lower) return rule_.low + i;
    }
    const auto number = util::parse_int(text);
    if (!number) fail_value(text);
    const unsigned highest = is_weekday() ? 7 : rule_.high;
    if (*number < rule_.low || *number > highest) {
      fail_field(cat(*number, " is not between ", rule_.low, " and ", highest),
                 cat(rule_.name, " takes ", rule_.takes));
    }
    return static_cast<unsigned>(*number);
  }

  std::string show(unsigned value, bool by_name) const {
    return by_name ? std::string(rule_.names[value - rule_.low]) : std::to_string(value);
  }

  void add(unsigned member) {
    value_.members |= std::uint64_t{1} << (is_weekday() ? member % 7 : member);
  }

  std::string_view expression_;
  const FieldRule& rule_;
  std::string_view field_;
  FieldValue value_;
};

std::vector<std::string> split_blanks(std::string_view text) {
  std::vector<std::string> words;
  for (text = util::trim(text); !text.empty(); text = util::trim(text)) {
    const std::size_t end = text.find_first_of(" \t\r\n");
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(words.back().size());
  }
  return words;
}

CronFields parse_fields(std::string_view expression, std::string_view fields) {
  const std::vector<std::string> words = split_blanks(fields);
  if (words.size() != 5) {
    fail(expression, cat("has ", words.size(), " fields instead of 5"),
         words.size() > 5 ? "seconds and years are not part of it; write minute hour day-of-month "
                            "month day-of-week, for example '30 2 * * *'"
                          : "write minute hour day-of-month month day-of-week, for example "
                            "'30 2 * * *' for 02:30 every day");
  }
  const FieldValue minute = FieldParser(expression, kMinute, words[0]).parse();
  const FieldValue hour = FieldParser(expression, kHour, words[1]).parse();
  const FieldValue day = FieldParser(expression, kDay, words[2]).parse();
  const FieldValue month = FieldParser(expression, kMonth, words[3]).parse();
  const FieldValue weekday = FieldParser(expression, kWeekday, words[4]).parse();

  CronFields result;
  result.minutes = minute.members;
  result.hours = hour.members;
  result.days = day.members;
  result.months = month.members;
  result.weekdays = weekday.members;
  result.any_day = day.begins_with_star;
  result.any_weekday = weekday.begins_with_star;
  result.last_day = day.last_day;
  result.nth_weekdays = weekday.nth_weekdays;
  // 0-23 names every hour as well as * does.
  const bool every_hour = hour.members == (std::uint64_t{1} << 24U) - 1;
  result.follows_clock = every_hour || hour.has_step;
  return result;
}

// The Gregorian calendar, weekdays included, repeats after 400 years: what has not fired by then
// never will.
void require_that_it_fires(std::string_view expression, const CronFields& fields) {
  using std::chrono::local_days;
  using std::chrono::year;
  const LocalSeconds begin = local_days(year(2000) / 1 / 1);
  const LocalSeconds end = local_days(year(2400) / 1 / 1);
  if (fields.first_match(begin, end)) return;
  fail(expression, "never fires", "no date of the calendar matches its day and month fields");
}

util::Milliseconds parse_interval(std::string_view expression, std::string_view text) {
  const auto interval = util::parse_duration(text);
  if (!interval || *interval < kShortestInterval) {
    fail(expression, cat("'", util::printable(text), "' is not a duration of at least 1s"),
         "write for example @every 90m");
  }
  return *interval;
}

[[noreturn]] void fail_name(std::string_view expression, const std::string& name) {
  if (name == "@reboot") {
    fail(expression, "@reboot is not supported",
         "a schedule names times; a missed one is caught up after a start by --catch-up once");
  }
  std::vector<std::string> known{"@every"};
  for (const Alias& alias : kAliases) known.emplace_back(alias.name);
  const auto similar = util::nearest(name, known);
  fail(expression, cat("'", util::printable(name), "' is not a known name"),
       similar ? cat("did you mean ", *similar, "?") : cat("known are ", util::join(known, " ")));
}

}  // namespace

CronExpression CronExpression::parse(std::string_view text) {
  text = util::trim(text);
  if (text.size() > kLongestText) {
    fail(cat(text.substr(0, 40), "..."), cat("is longer than ", kLongestText, " characters"),
         "split it into several schedules");
  }
  CronExpression result;
  result.text_ = text;
  std::string_view fields = text;
  if (text.starts_with('@')) {
    const std::size_t blank = text.find_first_of(" \t\r\n");
    const std::string name = util::to_lower(text.substr(0, blank));
    const std::string_view rest =
        blank == std::string_view::npos ? std::string_view() : util::trim(text.substr(blank));
    if (name == "@every") {
      result.interval_ = parse_interval(text, rest);
      return result;
    }
    fields = {};
    for (const Alias& alias : kAliases) {
      if (alias.name == name) fields = alias.fields;
    }
    if (fields.empty()) fail_name(text, name);
    if (!rest.empty()) {
      fail(text, cat("'", util::printable(rest), "' after ", name, " means nothing"),
           cat("write ", name, " alone"));
    }
  }
  result.fields_ = parse_fields(text, fields);
  require_that_it_fires(text, result.fields_);
  return result;
}

}  // namespace dbbackup::schedule
