#!/bin/sh
# A local store on a disk of 4 MiB: a put that does not fit fails with no_space, leaves nothing behind, and works once
# there is room. The disk is a tmpfs in a mount namespace of this script's own, so nothing remains of it.
set -eu

if [ "${1:-}" != inside ]; then
  work=$(mktemp -d)
  trap 'rmdir "$work"' EXIT
  if [ "$(id -u)" -eq 0 ]; then
    unshare --mount "$0" inside "$work"
  else
    unshare --user --map-root-user --mount "$0" inside "$work"
  fi
  exit
fi

mount -t tmpfs -o size=4m,mode=700 dbbackup-small "$2"
DBBACKUP_TEST_SMALL_DISK=$2 "${DBBACKUP_BIN:?}/tests/unit_tests" "child: fill a small disk"
