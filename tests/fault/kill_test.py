#!/usr/bin/python3
"""kill -9 of the daemon at every named point of a backup and a prune and at every change of a run's state, then a restart:
no visible half artifact, old artifacts intact, the run marked interrupted, the next run succeeds, garbage removed by prune."""
import os
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, content, main, make_shop  # noqa: E402

BACKUP_POINTS = ["run.after_start", "backup.before_pack", "backup.after_pack", "backup.before_index", "backup.before_manifest",
                 "backup.after_manifest", "run.before_finish"]
# Every change of a run's state, with what is on record afterwards: state, attempt, and whether the backup is there.
STATE_POINTS = [
    ("run.after_submit", "succeeded", 1, True),       # queued: the next daemon starts it
    ("run.before_start", "succeeded", 1, True),       # taken from the queue, but still queued on record
    ("run.after_start", "succeeded", 2, True),        # running: repeated, because the job allows it
    ("run.hook_output", "succeeded", 2, True),        # while the pre-hook runs
    ("run.before_finish", "succeeded", 2, True),      # its end was not recorded, so it is repeated
    ("run.after_finish", "succeeded", 1, True),
]
RETRY_POINTS = ["run.before_retry", "run.after_retry"]
PRUNE_POINTS = ["prune.in_repack", "prune.after_repack", "prune.before_condemn", "prune.after_condemn", "prune.before_delete",
                "prune.in_delete", "prune.in_delete:2", "prune.after_delete"]
RETENTION_POINTS = ["retention.before_manifest", "retention.after_manifest", "retention.before_manifest:2"]


class Killed(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")
        self.daemon.ok("job", "add", "nightly", "--database", "shop")

    def change_shop(self, seed, keep=None):
        db = sqlite3.connect(self.shop)
        db.execute("CREATE TABLE IF NOT EXISTS kept (data BLOB)")
        db.execute("CREATE TABLE IF NOT EXISTS noise (id INTEGER PRIMARY KEY, data BLOB)")
        if keep:
            db.execute("DELETE FROM kept")
            db.execute("INSERT INTO kept VALUES (?)", (keep * 4,))
            db.commit()
        db.execute("DELETE FROM noise")
        db.executemany("INSERT INTO noise (data) VALUES (?)", [(os.urandom(4000),) for _ in range(200 + seed)])
        db.commit()
        db.close()

    def restart_armed(self, point):
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start({"DBBACKUP_KILL_AT": point})

    def expect_killed_by(self, *command):
        self.daemon.ctl(*command)
        status = self.daemon.wait()
        self.assertEqual(status, -signal.SIGKILL, "the armed kill point never fired")
        self.daemon.start()

    def check_sound(self):
        self.daemon.ok("repository", "check", "default", "--read-data", "--wait")

    def test_backup_killed_at_each_point(self):
        d = self.daemon
        old = d.json("job", "run", "nightly", "--wait")
        old = old.get("run", old)["artifact"]
        before = content(self.shop)
        for number, point in enumerate(BACKUP_POINTS):
            with self.subTest(point=point):
                self.change_shop(number)
                known = {a["id"] for a in d.json("artifact", "list")["artifacts"]}
                self.restart_armed(point)
                self.expect_killed_by("job", "run", "nightly", "--wait")
                newest = d.json("run", "list", "--limit", "1")["runs"][0]
                self.assertEqual(newest["state"], "interrupted", newest)
                artifacts = {a["id"] for a in d.json("artifact", "list")["artifacts"]}
                sealed = point in ("backup.after_manifest", "run.before_finish")
                self.assertEqual(len(artifacts - known), 1 if sealed else 0, point)
                self.assertLessEqual(known, artifacts)
                for artifact in artifacts:
                    d.ok("artifact", "verify", artifact, "--wait")
                d.ok("job", "run", "nightly", "--wait")
                d.ok("artifact", "drill", "latest", "--wait")
                self.check_sound()
        target = d.path("old.db")
        d.ok("database", "add", "old", f"sqlite://{target}")
        d.ok("database", "allow-restore", "old")
        d.ok("restore", old, "--to", "old", "--wait")
        self.assertEqual(content(target), before)
        d.ok("repository", "prune", "default", "--wait")
        d.ok("repository", "prune", "default", "--wait")
        report = d.json("repository", "prune", "default", "--dry-run")["report"]
        self.assertEqual(report["removable_bytes"], 0, report)
        self.check_sound()

    def settled(self, run):
        """The run once it has ended, in whichever daemon."""
        self.daemon.ctl("run", "wait", run)
        return self.daemon.json("run", "show", run)["run"]

    def test_run_killed_at_each_change_of_state(self):
        d = self.daemon
        d.ok("job", "update", "nightly", "--retries", "2", "--retry-delay", "100ms", "--pre-hook", "echo ready", "--post-hook", "true")
        for point, state, attempt, sealed in STATE_POINTS:
            with self.subTest(point=point):
                known = {a["id"] for a in d.json("artifact", "list")["artifacts"]}
                self.restart_armed(point)
                self.expect_killed_by("job", "run", "nightly")
                run = self.settled(d.json("run", "list", "--limit", "1")["runs"][0]["id"])
                self.assertEqual((run["state"], run["attempt"]), (state, attempt), run)
                fresh = {a["id"] for a in d.json("artifact", "list")["artifacts"]} - known
                self.assertEqual(run["artifact"] in fresh, sealed)
                for artifact in fresh:
                    d.ok("artifact", "verify", artifact, "--wait")
                self.assertEqual(d.json("status")["runs"], {"running": 0, "queued": 0, "retrying": 0})
        self.check_sound()

    def test_run_killed_around_a_retry(self):
        d = self.daemon
        for point in RETRY_POINTS:
            with self.subTest(point=point):
                go = d.path(f"go-{point}")
                d.ok("job", "update", "nightly", "--retries", "2", "--retry-delay", "100ms", "--pre-hook", f"test -e {go} || exit 75")
                self.restart_armed(point)
                d.ctl("job", "run", "nightly")
                self.assertEqual(d.wait(), -signal.SIGKILL, "the armed kill point never fired")
                with open(go, "w", encoding="utf-8"):
                    pass
                d.start()
                run = self.settled(d.json("run", "list", "--limit", "1")["runs"][0]["id"])
                self.assertEqual((run["state"], run["attempt"]), ("succeeded", 2), run)
                # Before: the attempt had not ended on record, so the daemon's death is what ended it.
                self.assertEqual([a["state"] for a in run["earlier_attempts"]],
                                 ["interrupted" if point == "run.before_retry" else "failed"])

    def test_killed_while_it_waits_to_be_tried_again(self):
        d = self.daemon
        d.ok("job", "update", "nightly", "--retries", "1", "--retry-delay", "1h", "--pre-hook", "exit 75")
        run = d.json("job", "run", "nightly")["run"]["id"]
        while d.json("run", "show", run)["run"]["attempt"] == 1:
            pass
        before = d.json("run", "show", run)["run"]
        d.kill()
        d.start()
        self.assertEqual(d.json("run", "show", run)["run"], before)

    def test_killed_while_it_takes_the_lease(self):
        d = self.daemon
        d.ok("job", "update", "nightly", "--pre-hook", "echo ready; sleep 600")
        run = d.json("job", "run", "nightly")["run"]["id"]
        while "ready" not in d.ok("run", "log", run).out:
            pass
        d.kill()
        d.start({"DBBACKUP_KILL_AT": "lease.after_take"}, expect_ready=False)
        self.assertEqual(d.wait(), -signal.SIGKILL, "the armed kill point never fired")
        d.start()  # at once: whoever died holding the same lock is dead for sure
        self.assertEqual(d.json("run", "show", run)["run"]["state"], "interrupted")
        d.ok("job", "update", "nightly", "--pre-hook", "")
        d.ok("job", "run", "nightly", "--wait")

    def test_prune_killed_at_each_point(self):
        d = self.daemon
        kept = d.backup("shop")
        for number, point in enumerate(PRUNE_POINTS):
            with self.subTest(point=point):
                # A pack that is mostly dead but holds what a later artifact needs, so that prune has to repack it.
                self.change_shop(number, keep=os.urandom(90000))
                doomed = d.backup("shop")
                self.change_shop(-150 + number)
                needs_a_part = d.backup("shop")
                d.ok("artifact", "remove", doomed, "--yes")
                self.restart_armed(point)
                self.expect_killed_by("repository", "prune", "default", "--wait")
                d.ok("artifact", "verify", kept, "--wait")
                self.check_sound()
                d.ok("repository", "prune", "default", "--wait")
                d.ok("repository", "prune", "default", "--wait")
                report = d.json("repository", "prune", "default", "--dry-run")["report"]
                self.assertEqual(report["removable_bytes"], 0, report)
                d.ok("artifact", "drill", kept, "--wait")
                d.ok("artifact", "drill", needs_a_part, "--wait")
                d.ok("artifact", "remove", needs_a_part, "--yes")
                again = d.backup("shop")
                d.ok("artifact", "drill", again, "--wait")
                d.ok("artifact", "remove", again, "--yes")

    def test_retention_killed_at_each_point(self):
        d = self.daemon
        for point in RETENTION_POINTS:
            for command in (("repository", "prune", "default", "--wait"), ("job", "run", "nightly", "--wait")):
                with self.subTest(point=point, command=command[0]):
                    d.ok("job", "update", "nightly", "--keep-last", "0")
                    made = [d.json("job", "run", "nightly", "--wait")["run"]["artifact"] for _ in range(3)]
                    d.ok("artifact", "drill", made[0], "--wait")
                    d.ok("job", "update", "nightly", "--keep-last", "1")
                    self.restart_armed(point)
                    self.expect_killed_by(*command)
                    # The newest and the only proved one are there, whatever else has gone.
                    left = {a["id"] for a in d.json("artifact", "list")["artifacts"]}
                    self.assertLessEqual({made[0], made[2]}, left)
                    for artifact in left:
                        d.ok("artifact", "verify", artifact, "--wait")
                    newest = d.json("job", "run", "nightly", "--wait")["run"]["artifact"]
                    d.ok("repository", "prune", "default", "--wait")
                    left = {a["id"] for a in d.json("artifact", "list")["artifacts"]}
                    self.assertEqual(left, {newest, made[0]})
                    self.check_sound()
                    d.ok("artifact", "remove", made[0], "--yes")

    def test_kill_from_outside_while_running_loses_nothing(self):
        d = self.daemon
        old = d.backup("shop")
        d.json("backup", "shop")
        d.kill()
        d.start()
        for run in d.json("run", "list")["runs"]:
            self.assertIn(run["state"], ("succeeded", "interrupted", "queued", "running"), run)
        d.ok("artifact", "verify", old, "--wait")
        d.ok("artifact", "drill", d.backup("shop"), "--wait")


if __name__ == "__main__":
    main()
