// Fuzz target: any text is either refused with a usage error or gives fires that go forward in
// time; nothing crashes, throws something else, or takes long.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "schedule/next.hpp"
#include "util/error.hpp"

using namespace dbbackup;

// The first eight bytes choose the instant, the next one the zone, the rest is the expression.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const schedule::TimeZone zones[] = {
      schedule::TimeZone::load("UTC"), schedule::TimeZone::load("Europe/Berlin"),
      schedule::TimeZone::load("Australia/Lord_Howe"), schedule::TimeZone::load("Pacific/Apia")};
  if (size < 9) return 0;
  std::int64_t instant = 0;
  std::memcpy(&instant, data, sizeof instant);
  const schedule::TimeZone& zone = zones[data[8] % std::size(zones)];
  const std::string_view text(reinterpret_cast<const char*>(data) + 9, size - 9);
  try {
    const auto expression = schedule::CronExpression::parse(text);
    util::TimePoint time = util::from_unix_ms(instant);
    for (int i = 0; i < 20; ++i) {
      const auto fire = schedule::next_after(expression, time, zone);
      if (!fire) break;
      if (fire->at <= time) std::abort();
      time = fire->at;
    }
  } catch (const util::Error& error) {
    if (error.code() != util::ErrorCode::usage) std::abort();
  }
  return 0;
}
