#include "schedule/posix_rule.hpp"

#include <array>
#include <cctype>

namespace dbbackup::schedule {

using std::chrono::hours;
using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_seconds;
using std::chrono::year;

// Takes the parts of a rule from the front of the text; once a part is missing, `ok` stays false.
class PosixRule::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool ok() const { return ok_; }
  bool at_end() const { return text_.empty(); }
  bool next_is(char c) const { return text_.starts_with(c); }

  void expect(char c) { ok_ = take(c) && ok_; }

  // "CET" or "<-03>"
  void skip_name() {
    const bool quoted = take('<');
    std::size_t length = 0;
    while (length < text_.size() && (quoted ? text_[length] != '>' : is_letter(text_[length]))) {
      ++length;
    }
    ok_ = ok_ && length > 0;
    text_.remove_prefix(length);
    if (quoted) expect('>');
  }

  unsigned number() {
    unsigned value = 0;
    std::size_t length = 0;
    while (length < text_.size() && length < 4 && is_digit(text_[length])) {
      value = value * 10 + static_cast<unsigned>(text_[length++] - '0');
    }
    ok_ = ok_ && length > 0;
    text_.remove_prefix(length);
    return value;
  }

  // "[+-]h[h][:mm[:ss]]"
  seconds time() {
    const bool negative = take('-');
    if (!negative) take('+');
    seconds value = hours(number());
    if (take(':')) value += minutes(number());
    if (take(':')) value += seconds(number());
    return negative ? -value : value;
  }

  Change change() {
    Change result{};
    expect('M');
    result.month = number();
    expect('.');
    result.week = number();
    expect('.');
    result.weekday = number();
    result.time = take('/') ? time() : hours(2);
    ok_ = ok_ && result.month >= 1 && result.month <= 12 && result.week >= 1 && result.week <= 5 &&
          result.weekday <= 6;
    return result;
  }

 private:
  static bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  bool take(char c) {
    if (!next_is(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::string_view text_;
  bool ok_ = true;
};

local_seconds PosixRule::Change::in(year which) const {
  const std::chrono::month in_month(month);
  const std::chrono::weekday on(weekday);
  const local_days day = week == 5 ? local_days(which / in_month / on[std::chrono::last])
                                   : local_days(which / in_month / on[week]);
  return day + time;
}

std::optional<PosixRule> PosixRule::parse(std::string_view footer) {
  Reader reader(footer);
  PosixRule rule;
  reader.skip_name();
  rule.standard_ = -reader.time();  // POSIX counts west of Greenwich as positive
  if (reader.at_end()) return std::nullopt;
  reader.skip_name();
  rule.daylight_ = reader.next_is(',') ? rule.standard_ + hours(1) : -reader.time();
  reader.expect(',');
  rule.to_daylight_ = reader.change();
  reader.expect(',');
  rule.to_standard_ = reader.change();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return rule;
}

PosixRule::Period PosixRule::period_at(sys_seconds time) const {
  const auto now = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year();
  // Six changes surround every instant of the middle year, whichever hemisphere orders them how.
  struct Step {
    sys_seconds at;
    seconds offset;
  };
  std::array<Step, 6> steps{};
  std::size_t count = 0;
  for (int shift = -1; shift <= 1; ++shift) {
    const year which = now + std::chrono::years(shift);
    Step daylight{sys_seconds(to_daylight_.in(which).time_since_epoch() - standard_), daylight_};
    Step standard{sys_seconds(to_standard_.in(which).time_since_epoch() - daylight_), standard_};
    if (standard.at < daylight.at) std::swap(standard, daylight);
    steps[count++] = daylight;
    steps[count++] = standard;
  }
  std::size_t current = 0;
  while (current + 2 < steps.size() && steps[current + 1].at <= time) ++current;
  return {steps[current].at, steps[current + 1].at, steps[current].offset};
}

}  // namespace dbbackup::schedule
