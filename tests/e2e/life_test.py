#!/usr/bin/python3
"""The life of a run as its users see it: retries, hooks, limits of time, the queue, and a daemon that lost its place."""
import os
import signal
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, PATIENCE, content, main, make_shop  # noqa: E402


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def alive(pid):
    """Whether a process runs; what nobody has reaped yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


class Life(unittest.TestCase):
    CONFIG = None

    def setUp(self):
        self.daemon = Daemon(config=self.CONFIG)
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")

    def run_json(self, run):
        return self.daemon.json("run", "show", run)["run"]

    def start(self, job):
        return self.daemon.json("job", "run", job)["run"]["id"]

    def lines(self, name):
        try:
            with open(self.daemon.path(name), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_for_line(self, name):
        return wait_until(lambda: self.lines(name), f"a line in {name}")[0]


class Retries(Life):
    def hide_repository(self):
        os.rename(os.path.join(self.daemon.state, "repository"), self.daemon.path("away"))

    def show_repository(self):
        os.rename(self.daemon.path("away"), os.path.join(self.daemon.state, "repository"))

    def test_no_warning_that_nothing_happens(self):
        result = self.daemon.ok("job", "add", "j", "--database", "shop", "--retries", "3", "--retry-delay", "10s", "--timeout", "1h",
                                "--pre-hook", "true")
        self.assertNotIn("does not act", result.out + result.err)
        job = self.daemon.json("job", "show", "j")["job"]
        self.assertEqual((job["retries"], job["retry_delay"], job["timeout"]), (3, "10s", "1h"))
        self.assertEqual(self.daemon.ctl("job", "add", "k", "--database", "shop", "--retries", "101").code, 64)

    def test_a_run_that_failed_is_tried_again_and_succeeds(self):
        d = self.daemon
        # Fails twice with what asks for a retry, then lets the backup pass.
        hook = f"echo x >> {d.path('tries')}; test $(wc -l < {d.path('tries')}) -gt 2 || exit 75"
        d.ok("job", "add", "j", "--database", "shop", "--retries", "3", "--retry-delay", "100ms", "--pre-hook", hook)
        result = d.ctl("-o", "json", "job", "run", "j", "--wait")
        self.assertEqual(result.code, 0, result)
        run = result.json["run"]
        self.assertEqual((run["state"], run["attempt"]), ("succeeded", 3))
        self.assertEqual([a["error"]["code"] for a in run["earlier_attempts"]], ["unavailable"] * 2)
        self.assertIn("Attempt 1 failed", d.ok("run", "show", run["id"]).out)
        self.assertEqual(len(self.lines("tries")), 3)
        actions = [event["action"] for event in d.json("events")["events"]]
        self.assertEqual(actions.count("run.retry"), 2)

    def test_an_error_that_stays_is_not_tried_again(self):
        self.daemon.ok("job", "add", "j", "--database", "shop", "--retries", "3", "--retry-delay", "100ms", "--pre-hook", "exit 1")
        result = self.daemon.ctl("-o", "json", "job", "run", "j", "--wait")
        self.assertEqual(result.code, 6, result)
        self.assertEqual(result.json["run"]["attempt"], 1)

    def test_the_wait_survives_a_restart_and_can_be_cancelled(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--retries", "1", "--retry-delay", "1h", "--pre-hook", "exit 75")
        run = self.start("j")
        waiting = wait_until(lambda: self.run_json(run)["attempt"] == 2 and self.run_json(run), "the first attempt failed")
        self.assertEqual(waiting["state"], "queued")
        self.assertTrue(waiting["waits_for"].startswith("attempt 2 of 2 at "), waiting)
        for stop in (lambda: self.assertEqual(d.stop(), 0), d.kill):
            stop()
            d.start()
            again = self.run_json(run)
            self.assertEqual((again["state"], again["attempt"], again["start_after"]), ("queued", 2, waiting["start_after"]))
            self.assertEqual(again["waits_for"], waiting["waits_for"])
        self.assertIn("attempt 2 of 2", d.ok("run", "list").out)
        status = d.json("status")
        self.assertEqual(status["runs"]["retrying"], 1)
        self.assertEqual(status["jobs"][0]["retry_at"], waiting["start_after"])
        self.assertIn("retry in", d.ok("status").out)
        d.ok("run", "cancel", run)
        self.assertEqual(self.run_json(run)["state"], "cancelled")
        self.assertEqual(d.ctl("run", "wait", run).code, 130)

    def test_a_retry_that_was_due_while_the_daemon_was_down_runs(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--retries", "1", "--retry-delay", "1s", "--pre-hook",
             f"test -e {d.path('go')} || exit 75")
        run = self.start("j")
        wait_until(lambda: self.run_json(run)["attempt"] == 2, "the first attempt failed")
        d.stop()
        with open(d.path("go"), "w", encoding="utf-8"):
            pass
        d.start()
        d.ok("run", "wait", run)
        self.assertEqual(self.run_json(run)["state"], "succeeded")

    def test_a_run_whose_daemon_died_is_repeated_once(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--retries", "3", "--retry-delay", "100ms",
             "--pre-hook", f"echo $$ >> {d.path('pids')}; sleep 600")
        run = self.start("j")
        for attempt in (1, 2):
            wait_until(lambda: len(self.lines("pids")) == attempt, f"attempt {attempt}")
            d.kill()
            os.killpg(int(self.lines("pids")[-1]), signal.SIGKILL)
            d.start()
        ended = self.run_json(run)
        self.assertEqual((ended["state"], ended["attempt"]), ("interrupted", 2))
        self.assertEqual([a["state"] for a in ended["earlier_attempts"]], ["interrupted"])


class Hooks(Life):
    def test_environment_output_and_order(self):
        d = self.daemon
        d.stop()
        d.start({"CREDENTIALS_DIRECTORY": "/secret", "LISTEN_FDNAMES": "x", "SOME_PASSWORD": "hunter2"})
        d.ok("job", "add", "j", "--database", "shop", "--pre-hook", f"env | sort > {d.path('pre')}; echo getting ready",
             "--post-hook", f"env | sort > {d.path('post')}; echo all done >&2")
        run = d.json("job", "run", "j", "--wait")["run"]
        before = dict(line.split("=", 1) for line in self.lines("pre"))
        after = dict(line.split("=", 1) for line in self.lines("post"))
        self.assertEqual(before["DBBACKUP_RUN_ID"], run["id"])
        self.assertEqual((before["DBBACKUP_STATE"], after["DBBACKUP_STATE"]), ("running", "succeeded"))
        self.assertEqual((before["DBBACKUP_ARTIFACT"], after["DBBACKUP_ARTIFACT"]), ("", run["artifact"]))
        for name, value in (("JOB", "j"), ("DATABASE", "shop"), ("REPOSITORY", "default"), ("KIND", "backup"), ("HOOK", "post")):
            self.assertEqual(after[f"DBBACKUP_{name}"], value)
        for name in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_FDNAMES", "SOME_PASSWORD"):
            self.assertNotIn(name, before)
        log = d.ok("run", "log", run["id"]).out
        self.assertIn("pre-hook: getting ready", log)
        self.assertIn("post-hook: all done", log)

    def test_a_failing_pre_hook_leaves_the_database_alone(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--pre-hook", "echo not now; exit 9", "--post-hook",
             f"echo $DBBACKUP_STATE $DBBACKUP_ERROR_CODE > {d.path('post')}")
        result = d.ctl("job", "run", "j", "--wait")
        self.assertEqual(result.code, 6, result)
        self.assertIn("exit status 9", result.err)
        self.assertEqual(d.json("artifact", "list")["artifacts"], [])
        self.assertEqual(self.lines("post"), ["failed refused"])
        self.assertNotIn("backing up", d.ok("run", "log", d.json("run", "list")["runs"][0]["id"]).out)

    def test_a_failing_post_hook_is_a_warning(self):
        self.daemon.ok("job", "add", "j", "--database", "shop", "--post-hook", "exit 9")
        result = self.daemon.ctl("job", "run", "j", "--wait")
        self.assertEqual(result.code, 0, result)
        self.assertIn("the post-hook failed with exit status 9", result.err)

    def test_cancelling_ends_a_hook_and_its_children_within_five_seconds(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--pre-hook", f"trap '' TERM; sleep 600 & echo $! > {d.path('pid')}; wait; sleep 600")
        run = self.start("j")
        child = int(self.wait_for_line("pid"))
        begin = time.monotonic()
        d.ok("run", "cancel", run)
        self.assertEqual(d.ctl("run", "wait", run).code, 130)
        self.assertLess(time.monotonic() - begin, 5)
        wait_until(lambda: not alive(child), "the hook's child has gone")

    def test_a_hook_that_takes_too_long(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--hook-timeout", "300ms", "--pre-hook", f"echo $$ > {d.path('pid')}; sleep 600")
        result = d.ctl("job", "run", "j", "--wait")
        self.assertEqual(result.code, 5, result)
        self.assertFalse(alive(int(self.wait_for_line("pid"))))

    def test_only_admins_set_them(self):
        # Whoever may set a hook runs commands as the daemon.
        protocol = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib/control/PROTOCOL.md")
        with open(protocol, encoding="utf-8") as file:
            text = file.read()
        for command in ("job.add", "job.update"):
            section = text.split(f"## {command}\n", 1)[1].split("\n## ", 1)[0]
            self.assertIn("admin", section)


class Limits(Life):
    CONFIG = "runs_at_once: 4\nruns_per_host: 2\nruns_per_repository: 3\n"

    def test_a_waiting_run_says_what_it_waits_for(self):
        d = self.daemon
        for job in ("a", "b", "c"):
            d.ok("job", "add", job, "--database", "shop", "--pre-hook",
                 f"touch {d.path(job)}; while ! test -e {d.path('go')}; do sleep 0.05; done")
        first, second, same, third = (self.start(job) for job in ("a", "b", "a", "c"))
        wait_until(lambda: os.path.exists(d.path("a")) and os.path.exists(d.path("b")), "two runs are in their hooks")
        self.assertEqual(self.run_json(same)["waits_for"], f"run {first} to end (one run of job a at a time)")
        self.assertEqual(self.run_json(third)["waits_for"], "a run on host localhost to end (runs_per_host: 2)")
        self.assertIsNone(self.run_json(first)["waits_for"])
        self.assertIn("runs_per_host: 2", d.ok("run", "list").out)
        with open(d.path("go"), "w", encoding="utf-8"):
            pass
        for run in (first, second, same, third):
            d.ok("run", "wait", run)

    def test_a_timeout_ends_an_attempt(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--timeout", "500ms", "--pre-hook", "sleep 600")
        result = d.ctl("-o", "json", "job", "run", "j", "--wait")
        self.assertEqual(result.code, 5, result)
        self.assertEqual(result.json["run"]["error"]["code"], "timed_out")

    def test_a_backup_that_reads_nothing_is_ended(self):
        d = self.daemon
        holder = sqlite3.connect(self.shop, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN EXCLUSIVE")
        d.ok("job", "add", "j", "--database", "shop", "--stall-timeout", "2s", "--option", "busy_timeout=10m")
        begin = time.monotonic()
        result = d.ctl("-o", "json", "job", "run", "j", "--wait")
        self.assertEqual(result.code, 5, result)
        self.assertIn("nothing was read", result.json["run"]["error"]["message"])
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(d.json("artifact", "list")["artifacts"], [])

    def test_cancelling_reaches_a_database_that_is_locked(self):
        d = self.daemon
        holder = sqlite3.connect(self.shop, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN EXCLUSIVE")
        d.ok("job", "add", "j", "--database", "shop", "--option", "busy_timeout=10m")
        run = self.start("j")
        wait_until(lambda: "backing up" in d.ok("run", "log", run).out, "the backup has begun")
        begin = time.monotonic()
        d.ok("run", "cancel", run)
        self.assertEqual(d.ctl("run", "wait", run).code, 130)
        self.assertLess(time.monotonic() - begin, 5)


class TakenOver(Life):
    def test_a_stopped_daemon_that_lost_its_place_commits_nothing(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--pre-hook", f"touch {d.path('in')}; while ! test -e {d.path('go')}; do sleep 0.05; done")
        run = self.start("j")
        wait_until(lambda: os.path.exists(d.path("in")), "the run is in its hook")
        first = d.process
        first.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: first.poll() is None and first.kill())
        # Without its lock file the state folder keeps nobody out; the lease does, for as long as it has not run out.
        os.remove(os.path.join(d.state, "lock"))
        os.remove(d.socket)
        d.start(expect_ready=False)
        self.assertEqual(d.wait(), 75, d.log())
        self.assertIn("another dbbackupd uses the control database", d.log())
        db = sqlite3.connect(os.path.join(d.state, "control.db"))  # as if the lease had run out long ago
        db.execute("UPDATE lease SET renewed_at = renewed_at - 60000")
        db.commit()
        db.close()
        d.start()
        self.assertEqual(self.run_json(run)["state"], "interrupted")
        with open(d.path("go"), "w", encoding="utf-8"):
            pass
        first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(PATIENCE), 75)
        self.assertIn("has taken over", d.log())
        self.assertEqual(d.json("artifact", "list")["artifacts"], [])
        d.ok("repository", "rescan", "default", "--wait")
        self.assertEqual(d.json("artifact", "list")["artifacts"], [])
        self.assertEqual(self.run_json(run)["state"], "interrupted")
        d.ok("job", "run", "j", "--wait")
        d.ok("artifact", "drill", "latest", "--wait")


if __name__ == "__main__":
    main()
