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

AccessPolicy::Members resolved(const std::vector<config::AccessRule>& rules) {
  AccessPolicy::Members members;
  for (const config::AccessRule& rule : rules) {
    if (rule.kind == config::AccessRule::Kind::user) {
      if (const auto uid = uid_of(rule.name)) members.users.push_back(*uid);
    } else if (const auto gid = gid_of(rule.name)) {
      members.groups.push_back(*gid);
    }
  }
  return members;
}
}  // namespace

bool AccessPolicy::Members::has(uid_t uid, const std::vector<gid_t>& of_caller) const {
  return std::find(users.begin(), users.end(), uid) != users.end() ||
         std::find_first_of(groups.begin(), groups.end(), of_caller.begin(), of_caller.end()) !=
             groups.end();
}

void AccessPolicy::set(const config::AccessConfig& access) {
  Members admin = resolved(access.admin);
  Members operate = resolved(access.operate);
  Members viewer = resolved(access.viewer);
  const std::scoped_lock lock(mutex_);
  admin_ = std::move(admin);
  operate_ = std::move(operate);
  viewer_ = std::move(viewer);
}

std::optional<control::Access> AccessPolicy::decide(uid_t uid,
                                                    const std::vector<gid_t>& groups) const {
  if (uid == 0 || uid == ::geteuid()) return control::Access::admin;
  const std::scoped_lock lock(mutex_);
  if (admin_.has(uid, groups)) return control::Access::admin;
  if (operate_.has(uid, groups)) return control::Access::operate;
  if (viewer_.has(uid, groups)) return control::Access::viewer;
  return std::nullopt;
}

}  // namespace dbbackup::daemon
