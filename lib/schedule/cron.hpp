// A cron expression: five fields or an @name, as cron(8) reads them, with `L`, `weekday#n` and
// `@every` added. The grammar and its reasons are in README.md beside this file.
//
// Parsing is strict: what different cron implementations read differently (`5/10`, `fri-mon`, `?`)
// is refused with the spelling that means one thing everywhere, and so is an expression that can
// never fire.
//
// Threads: a value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "schedule/cron_fields.hpp"
#include "util/time.hpp"

namespace dbbackup::schedule {

class CronExpression {
 public:
  // Errors: usage, naming the field, the offending text and what to write instead; also when it
  // never fires.
  static CronExpression parse(std::string_view text);

  // As it was given, without blanks around it.
  const std::string& text() const { return text_; }
  // The distance between fires of `@every`; empty for everything that goes by the calendar.
  std::optional<util::Milliseconds> interval() const { return interval_; }
  // Requires: !interval()
  const CronFields& fields() const { return fields_; }

 private:
  CronExpression() = default;

  std::string text_;
  CronFields fields_;
  std::optional<util::Milliseconds> interval_;
};

}  // namespace dbbackup::schedule
