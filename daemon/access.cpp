#include "daemon/access.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>

namespace dbbackup::daemon {

namespace {
constexpr std::size_t kRecordBytes =
    65536;  // generous for one passwd or group entry with many members

std::optional<uid_t> uid_of(const std::string& name) {
  std::vector<char> buffer(kRecordBytes);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    return std::nullopt;
  }
  return found->pw_uid;
}

std::optional<gid_t> gid_of(const std::string& name) {
  std::vector<char> buffer(kRecordBytes);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    return std::nullopt;
  }
  return found->gr_gid;
}

bool matches(const config::AccessRule& rule, uid_t uid, const std::vector<gid_t>& groups) {
  if (rule.kind == config::AccessRule::Kind::user) return uid_of(rule.name) == uid;
  const std::optional<gid_t> gid = gid_of(rule.name);
  return gid && std::find(groups.begin(), groups.end(), *gid) != groups.end();
}
}  // namespace

void AccessPolicy::set(const config::AccessConfig& access) {
  const std::scoped_lock lock(mutex_);
  access_ = access;
}

std::optional<control::Access> AccessPolicy::decide(uid_t uid,
                                                    const std::vector<gid_t>& groups) const {
  if (uid == 0 || uid == ::geteuid()) return control::Access::admin;
  const std::scoped_lock lock(mutex_);
  const auto any = [&](const std::vector<config::AccessRule>& rules) {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const config::AccessRule& rule) { return matches(rule, uid, groups); });
  };
  if (any(access_.admin)) return control::Access::admin;
  if (any(access_.operate)) return control::Access::operate;
  if (any(access_.viewer)) return control::Access::viewer;
  return std::nullopt;
}

}  // namespace dbbackup::daemon
