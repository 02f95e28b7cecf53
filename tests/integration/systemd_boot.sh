#!/bin/sh
# The installed product under a systemd of its own: `cmake --install` into an overlay of this machine's root, booted by
# systemd-nspawn without network. Inside, the units are used as an administrator does: users and folders, socket activation, a
# backup and its drill, the journal's fields, the sandbox, credentials, reload, restart, kill -9, the watchdog. The machine itself
# is not changed.
#
# Usage: systemd_boot.sh [BUILD_DIR]   default: $DBBACKUP_BIN
# Exit codes: 0 passed; 1 failed; 77 this machine cannot boot a container (the reason is printed).
set -eu

build=$(cd "${1:-${DBBACKUP_BIN:?name the build folder}}" && pwd)
boot_timeout=100

cannot() {
  echo "SKIPPED: this machine cannot boot a container: $*"
  exit 77
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || cannot "that needs root"
command -v systemd-nspawn >/dev/null || fail "systemd-nspawn is missing: tests/support/install-packages test"

work=$(mktemp -d)
root=$work/root
clean_up() {
  umount "$root" 2>/dev/null || true
  umount "$work/overlay" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/overlay" "$root"
mount -t tmpfs tmpfs "$work/overlay" 2>"$work/why" || cannot "mount: $(cat "$work/why")"
mkdir "$work/overlay/upper" "$work/overlay/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/overlay/upper,workdir=$work/overlay/work" "$root" \
  2>"$work/why" || cannot "overlay: $(cat "$work/why")"

DESTDIR=$root cmake --install "$build" >"$work/install" || {
  cat "$work/install" >&2
  fail "cmake --install"
}
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
cp "$(dirname "$0")/systemd_boot_report.sh" "$root/report.sh"
cat >"$root/etc/systemd/system/report.service" <<END
[Unit]
DefaultDependencies=no
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
Environment=PATH=$prefix/bin:$prefix/sbin:/usr/bin:/usr/sbin:/bin:/sbin
ExecStart=/bin/bash /report.sh $prefix
ExecStopPost=/bin/systemctl --no-block exit 0
StandardOutput=file:/report.out
StandardError=inherit
END
cat >"$root/etc/systemd/system/report.target" <<END
[Unit]
Requires=basic.target report.service
AllowIsolate=yes
END

timeout --kill-after=10 "$boot_timeout" systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit \
  --private-network --machine="dbbackup-test-$$" --console=pipe systemd.unit=report.target \
  </dev/null >"$work/console" 2>&1 || true

# Its first line comes before anything of the product is used.
if ! grep -q '^booted$' "$root/report.out" 2>/dev/null; then
  cannot "systemd-nspawn: $(tail -n 3 "$work/console" | tr '\n' ' ')"
fi
cat "$root/report.out"
grep -q '^all done$' "$root/report.out" || fail "the report of the booted system did not come to its end"
