// Prints the fires of cron expressions, for comparison with other implementations
// (tests/integration/cron_oracle.py).
//
// Reads lines "EXPRESSION <tab> ZONE <tab> FROM <tab> COUNT" from standard input and answers each
// with one line: "ok" and the fires in RFC 3339 UTC, or "error" and the message, separated by tabs.
#include <iostream>
#include <string>

#include "schedule/next.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace {

using namespace dbbackup;

std::string explain(const std::string& line) {
  const auto parts = util::split(line, '\t');
  if (parts.size() != 4) return "error\tmalformed line";
  const auto from = util::parse_time(parts[2]);
  const auto count = util::parse_int(parts[3]);
  if (!from || !count) return "error\tmalformed time or count";
  const auto expression = schedule::CronExpression::parse(parts[0]);
  const auto zone = schedule::TimeZone::load(parts[1]);
  std::string answer = "ok";
  util::TimePoint time = *from;
  for (std::int64_t i = 0; i < *count; ++i) {
    const auto fire = schedule::next_after(expression, time, zone);
    if (!fire) break;
    answer += "\t" + util::format_rfc3339(fire->at);
    time = fire->at;
  }
  return answer;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << explain(line) << '\n';
    } catch (const util::Error& error) {
      std::cout << "error\t" << error.message() << '\n';
    }
  }
}
