#!/bin/bash
# What systemd_boot.sh runs as root inside the booted container, with the prefix of the installation; the first check that fails
# ends it.
set -euo pipefail
echo booted
prefix=$1
configuration=$(sed -n 's|^ExecStart=.* --config \(.*\)|\1|p' "$prefix/lib/systemd/system/dbbackupd.service")
folder=$(dirname "$configuration")

fail() {
  echo "FAILED: $*"
  echo "--- journal of dbbackupd:"
  journalctl --no-pager --unit=dbbackupd --unit=dbbackupd.socket | tail -n 40
  exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# until_true SECONDS COMMAND...
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "did not come true: $*"
    read -r -t 0.1 <> <(:) || true
  done
}
property() {
  systemctl show --value --property="$1" dbbackupd.service
}
is_active_anew() { # since MAIN_PID was another one
  [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$1" ]
}
answers() {
  dbbackupctl daemon version >/dev/null 2>&1
}
in_journal() { # FIELD=VALUE TEXT
  journalctl --sync
  journalctl --no-pager --output=cat --unit=dbbackupd "$1" | grep -qF -- "$2"
}

# -- users, folders, units
systemd-sysusers
systemd-tmpfiles --create dbbackup.conf
[ "$(stat -c '%a %U %G' "$folder/credentials")" = "700 root root" ] || fail "mode of $folder/credentials"
printf 'the stored password' >"$folder/credentials/shop"
chmod 600 "$folder/credentials/shop"
systemctl daemon-reload
systemctl start dbbackupd.socket
[ "$(stat -c '%a %U %G' /run/dbbackupd.sock)" = "660 root dbbackup-admin" ] || fail "the socket's owner and mode"
[ "$(property ActiveState)" = inactive ] || fail "the service runs before anybody asked"
echo "ok: users, folders and socket"

# -- socket activation, and the main job
answers || fail "no answer through the socket"
[ "$(property ActiveState)" = active ] || fail "the service is $(property ActiveState)"
[ "$(property StatusText)" = idle ] || fail "its status is $(property StatusText)"
[ "$(ps -o user= -p "$(property MainPID)")" = dbbackup ] || fail "it does not run as dbbackup"
/usr/bin/python3 - <<'END'
import sqlite3
db = sqlite3.connect("/srv/shop.db")
db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
db.executemany("INSERT INTO orders (note) VALUES (?)", [(f"note {i}",) for i in range(1000)])
db.commit()
END
chmod 644 /srv/shop.db
dbbackupctl database add shop sqlite:///srv/shop.db
dbbackupctl job add nightly --database shop
run=$(dbbackupctl -o name job run nightly --wait)
drill=$(dbbackupctl -o name artifact drill latest --wait)
[ "$(dbbackupctl artifact list | grep -c ' proved ')" = 1 ] || fail "no proved artifact"
echo "ok: activated by its socket; a backup and its drill"

# -- the journal
in_journal "DBBACKUP_RUN=$run" "sealed " || fail "the journal does not know run $run"
in_journal "DBBACKUP_RUN=$drill" "proved: " || fail "the journal does not know run $drill"
in_journal DBBACKUP_JOB=nightly "backup succeeded" || fail "the journal does not know job nightly"
echo "ok: journal fields"

# -- access
if setpriv --reuid=65534 --regid=65534 --clear-groups dbbackupctl status >/dev/null 2>&1; then
  fail "a foreign user reached the daemon"
fi
setpriv --reuid=65534 --regid=65534 --groups="$(getent group dbbackup-admin | cut -d: -f3)" dbbackupctl job list >/dev/null ||
  fail "a member of dbbackup-admin was refused"
echo "ok: access by group"

# -- sandbox
refusal=$(dbbackupctl repository add outside file:///srv/repository 2>&1) && fail "the sandbox lets it write to /srv"
[[ $refusal == *ReadWritePaths=* ]] || fail "no hint about ReadWritePaths: $refusal"
mkdir -p /etc/systemd/system/dbbackupd.service.d /srv/repository
chown dbbackup: /srv/repository
cat >/etc/systemd/system/dbbackupd.service.d/test.conf <<'END'
[Service]
ReadWritePaths=/srv/repository
WatchdogSec=4s
RestartSec=200ms
END
echo "ok: sandbox"

# -- credentials: the service sees them, under the name that the manual gives
credential=/run/credentials/dbbackupd.service/db_shop
[ "$(cat "$credential")" = "the stored password" ] || fail "no credential db_shop"
tr '\0' '\n' <"/proc/$(property MainPID)/environ" | grep -qx 'CREDENTIALS_DIRECTORY=/run/credentials/dbbackupd.service' ||
  fail "no CREDENTIALS_DIRECTORY"
echo "ok: credentials"

# -- reload
pid=$(property MainPID)
echo 'log_level: debug' >>"$configuration"
systemctl reload dbbackupd || fail "reload"
until_true 10 in_journal _PID="$pid" "configuration reloaded"
cp "$configuration" "$configuration.good"
echo 'log_levl: debug' >>"$configuration"
if systemctl reload dbbackupd 2>/dev/null; then fail "reload of a wrong configuration succeeded"; fi
[ "$(property MainPID) $(property ActiveState)" = "$pid active" ] || fail "a wrong configuration did not leave it alone"
mv "$configuration.good" "$configuration"
systemctl reload dbbackupd || fail "reload after the mistake is gone"
echo "ok: reload"

# -- restart, with the drop-in from here on
systemctl daemon-reload
systemctl restart dbbackupd
[ "$(property MainPID)" != "$pid" ] || fail "restart left the old process"
[ "$(dbbackupctl -o name artifact list | wc -l)" = 1 ] || fail "the artifact is gone after a restart"
dbbackupctl repository add outside file:///srv/repository >/dev/null
dbbackupctl backup shop --repository outside --wait
echo "ok: restart"

# -- kill -9, also amid a backup
pid=$(property MainPID)
kill -KILL "$pid"
until_true 20 is_active_anew "$pid"
until_true 10 answers
[ "$(property NRestarts)" -ge 1 ] || fail "not restarted"
dbbackupctl artifact drill latest:nightly --wait
echo "ok: killed and restarted"

# -- watchdog: it is fed for more than one interval, and a daemon that hangs is replaced
pid=$(property MainPID)
fed=$(property WatchdogTimestampMonotonic)
is_fed() { [ "$(property WatchdogTimestampMonotonic)" -gt $((fed + 5000000)) ]; }
until_true 20 is_fed
[ "$(property MainPID)" = "$pid" ] || fail "restarted although it was alive"
kill -STOP "$pid"
until_true 20 is_active_anew "$pid"
until_true 10 answers
journalctl --sync
journalctl --no-pager --unit=dbbackupd | grep -q "Watchdog timeout" || fail "no watchdog timeout in the journal"
echo "ok: watchdog"

# -- stop; the socket stays and starts it again
systemctl stop dbbackupd
[ "$(property Result) $(property ActiveState)" = "success inactive" ] || fail "stop: $(property Result) $(property ActiveState)"
until_true 10 answers
echo "ok: stop, and started again by its socket"
echo "all done"
