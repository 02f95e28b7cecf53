#!/bin/sh
# The unit files as systemd itself judges them: they are valid, what they name exists, and the sandbox is tight. And the user,
# groups and folders they rely on are made with the right owners and modes (that part needs root).
#
# Usage: systemd_unit.sh [SOURCE_ROOT]
set -eu

source_root=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# A copy of the units that names a program which exists; the real one is installed by packages only. The program itself is
# tested elsewhere: here a stand-in is enough.
mkdir -p "$stage/units" "$stage/sbin" "$stage/man/man5" "$stage/man/man8"
ln -s /bin/true "$stage/sbin/dbbackupd"
for unit in dbbackupd.service dbbackupd.socket; do
  sed "s|/usr/sbin/dbbackupd|$stage/sbin/dbbackupd|" "$source_root/systemd/$unit" >"$stage/units/$unit"
done
grep -q "ExecStart=$stage/sbin/dbbackupd " "$stage/units/dbbackupd.service" ||
  fail "dbbackupd.service does not start /usr/sbin/dbbackupd"
cp "$source_root/config/dbbackupd.yaml.5" "$stage/man/man5/"
cp "$source_root/daemon/dbbackupd.8" "$stage/man/man8/"

# verify exits with 0 after mere warnings, so silence is the criterion. `man` finds the pages by MANPATH.
if ! MANPATH="$stage/man" systemd-analyze verify --man=yes --recursive-errors=one \
  "$stage/units/dbbackupd.service" "$stage/units/dbbackupd.socket" >"$stage/verify" 2>&1 ||
  [ -s "$stage/verify" ]; then
  cat "$stage/verify" >&2
  fail "systemd-analyze verify"
fi
echo "ok: the units are valid"

# What the daemon needs to run a hook and to end it again must not be filtered away: the sandbox holds for hooks as well.
allowed=$(for set in $(sed -n 's/^SystemCallFilter=@\(.*\)/@\1/p' "$stage/units/dbbackupd.service") @default; do
  todo=$set
  while [ -n "$todo" ]; do
    first=${todo%% *}
    case $todo in *" "*) todo=${todo#* } ;; *) todo= ;; esac
    for name in $(systemd-analyze syscall-filter "$first" | sed -n '2,$s/^ *\([-@a-z0-9_]*\).*/\1/p'); do
      case $name in @*) todo="${todo:+$todo }$name" ;; *) echo "$name" ;; esac
    done
  done
done)
denied=$(for set in $(sed -n 's/^SystemCallFilter=~//p' "$stage/units/dbbackupd.service"); do
  systemd-analyze syscall-filter "$set"
done)
for call in clone3 clone execve setpgid close_range dup2 pidfd_open eventfd2 pipe2 poll kill wait4; do
  echo "$allowed" | grep -qx "$call" || fail "SystemCallFilter does not allow $call, which hooks need"
  ! echo "$denied" | grep -qw "$call" || fail "SystemCallFilter denies $call, which hooks need"
done
echo "ok: the sandbox lets hooks run"

# The threshold counts tenths: 15 is 1.5 on a scale where 10 is no sandbox at all.
systemd-analyze security --offline=yes --no-pager --threshold=15 "$stage/units/dbbackupd.service" \
  >"$stage/security" 2>&1 || {
  cat "$stage/security" >&2
  fail "systemd-analyze security: exposure above 1.5"
}
echo "ok: exposure $(sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p' "$stage/security")"

# Two facts that no analyser knows; see the comments in the units.
grep -qx 'PrivateUsers=no' "$stage/units/dbbackupd.service" || fail "PrivateUsers must be no"
grep -qx 'ListenStream=/run/dbbackupd.sock' "$stage/units/dbbackupd.socket" ||
  fail "the socket must not lie in the RuntimeDirectory"

systemd-sysusers --dry-run "$source_root/systemd/dbbackup.sysusers" >"$stage/sysusers" 2>&1 || {
  cat "$stage/sysusers" >&2
  fail "systemd-sysusers"
}
echo "ok: the user and groups are valid"

if [ "$(id -u)" -ne 0 ]; then
  echo "skipped: making users and folders in a staged root needs root"
  exit 0
fi
root=$stage/root
mkdir -p "$root/etc"
systemd-sysusers --root="$root" - <"$source_root/systemd/dbbackup.sysusers"
grep -q '^dbbackup:.*:/var/lib/dbbackup:' "$root/etc/passwd" || fail "no user dbbackup"
grep -q '^dbbackup-admin:' "$root/etc/group" || fail "no group dbbackup-admin"
systemd-tmpfiles --root="$root" --create - <"$source_root/systemd/dbbackup.tmpfiles"
group=$(sed -n 's/^dbbackup:x:\([0-9]*\):.*/\1/p' "$root/etc/group")
[ "$(stat -c '%a %u %g' "$root/etc/dbbackup")" = "750 0 $group" ] || fail "mode of /etc/dbbackup"
[ "$(stat -c '%a %u %g' "$root/etc/dbbackup/credentials")" = "700 0 0" ] ||
  fail "mode of /etc/dbbackup/credentials"
echo "ok: users and folders are made as the service needs them"
