// Who may do what, for users that are not the daemon's own.
#include "daemon/access.hpp"

#include <unistd.h>
#include <catch2/catch.hpp>

namespace dbbackup::daemon {
namespace {

using config::AccessRule;
using control::Access;

// Names that every Debian machine has. Source: base-passwd.
constexpr uid_t kStranger = 4242424;
constexpr uid_t kDaemonUser = 1;  // "daemon"
constexpr gid_t kAdmGroup = 4;    // "adm"
constexpr gid_t kUsersGroup = 100;

AccessRule user(const char* name) { return {AccessRule::Kind::user, name}; }
AccessRule group(const char* name) { return {AccessRule::Kind::group, name}; }

}  // namespace

TEST_CASE("access: root and the daemon's own user are admins in any case", "[daemon]") {
  AccessPolicy policy;
  policy.set({.admin = {}, .operate = {}, .viewer = {}});
  CHECK(policy.decide(0, {}) == Access::admin);
  CHECK(policy.decide(::geteuid(), {}) == Access::admin);
}

TEST_CASE("access: who is in no list gets nothing", "[daemon]") {
  AccessPolicy policy;
  CHECK_FALSE(policy.decide(kStranger, {kStranger, kUsersGroup}));
}

TEST_CASE("access: users and groups get the highest class that names them", "[daemon]") {
  AccessPolicy policy;
  policy.set({.admin = {group("adm")}, .operate = {user("daemon")}, .viewer = {group("users")}});
  CHECK(policy.decide(kStranger, {kAdmGroup}) == Access::admin);
  CHECK(policy.decide(kStranger, {kUsersGroup}) == Access::viewer);
  CHECK(policy.decide(kStranger, {kUsersGroup, kAdmGroup}) == Access::admin);
  CHECK(policy.decide(kDaemonUser, {}) == Access::operate);
  CHECK(policy.decide(kDaemonUser, {kUsersGroup}) == Access::operate);
}

TEST_CASE("access: a name the machine does not know grants nothing", "[daemon]") {
  AccessPolicy policy;
  policy.set(
      {.admin = {user("no-such-user"), group("no-such-group")}, .operate = {}, .viewer = {}});
  CHECK_FALSE(policy.decide(kStranger, {kUsersGroup}));
}

TEST_CASE("access: a new policy takes effect at once", "[daemon]") {
  AccessPolicy policy;
  policy.set({.admin = {}, .operate = {}, .viewer = {group("users")}});
  CHECK(policy.decide(kStranger, {kUsersGroup}) == Access::viewer);
  policy.set({.admin = {}, .operate = {}, .viewer = {}});
  CHECK_FALSE(policy.decide(kStranger, {kUsersGroup}));
}

}  // namespace dbbackup::daemon
