#include "job/start_hours.hpp"

namespace dbbackup::job {

StartHours::StartHours(const Request& request) {
  if (request.windows.empty()) return;
  zone_ = schedule::TimeZone::load(request.timezone);
  for (const std::string& text : request.windows) windows_.push_back(schedule::Window::parse(text));
}

bool StartHours::open_at(util::TimePoint time) const {
  return !zone_ || schedule::inside(time, *zone_, windows_);
}

}  // namespace dbbackup::job
