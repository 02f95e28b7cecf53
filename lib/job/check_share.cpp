#include "job/check_share.hpp"

#include <algorithm>
#include <cmath>

#include "util/json.hpp"
#include "util/text.hpp"

namespace dbbackup::job {

using repository::ReadShare;
namespace json = util::json;

namespace {
// What the first check reads, and the first one after the clock was set back.
constexpr util::Milliseconds kOneDay = std::chrono::days(1);

std::string setting_of(const std::string& repository_id) {
  return util::cat("check.position:", repository_id);
}

struct Position {
  std::uint64_t next = 0;
  std::optional<util::TimePoint> at;
};

Position read_position(Services& services, const std::string& repository_id) {
  const auto stored = services.catalog.setting(setting_of(repository_id));
  if (!stored) return {};
  const json::Value value = json::parse(*stored);
  const json::Object* object = value.if_object();
  const auto next = object == nullptr ? std::nullopt : json::get_int(*object, "next");
  const auto at = object == nullptr ? std::nullopt : json::get_int(*object, "at");
  if (!next || !at || *next < 0) return {};
  return {static_cast<std::uint64_t>(*next) % ReadShare::kWhole, util::from_unix_ms(*at)};
}
}  // namespace

ReadShare next_share(Services& services, const std::string& repository_id, util::TimePoint now) {
  const Position position = read_position(services, repository_id);
  util::Milliseconds passed = position.at ? now - *position.at : kOneDay;
  if (passed.count() < 0) passed = kOneDay;
  const double part = static_cast<double>(passed.count()) /
                      static_cast<double>(services.maintenance.reread_within.count());
  const double length = std::ceil(std::min(part, 1.0) * static_cast<double>(ReadShare::kWhole));
  return {position.next, static_cast<std::uint64_t>(length)};
}

void note_share_read(Services& services, const std::string& repository_id, const ReadShare& share,
                     util::TimePoint begun) {
  services.catalog.set_setting(
      setting_of(repository_id),
      json::write(json::Object{{"next", (share.begin + share.length) % ReadShare::kWhole},
                               {"at", util::to_unix_ms(begun)}}));
}

double percent_of(const ReadShare& share) {
  const double percent =
      100.0 * static_cast<double>(share.length) / static_cast<double>(ReadShare::kWhole);
  return std::round(percent * 100.0) / 100.0;
}

}  // namespace dbbackup::job
