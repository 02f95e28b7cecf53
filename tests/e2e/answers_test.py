#!/usr/bin/python3
"""What a user reads off the client's answers: exit codes, names, states, progress, refusals."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import DAEMON, Daemon, content, main, make_shop  # noqa: E402


class Answers(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")

    def run_of(self, *words):
        """The run that a command waited for."""
        return self.daemon.json(*words, "--wait")["run"]

    def test_due_now_counts_as_the_last_run_of_its_schedule(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        added = d.json("schedule", "add", "s", "--job", "j", "--cron", "0 3 * * *", "--due-now")
        self.assertIsNotNone(added["schedule"]["last_run_at"])
        d.ok("run", "wait", added["run"]["id"])
        shown = d.json("schedule", "show", "s")["schedule"]
        self.assertEqual(shown["last_run"], added["run"]["id"])
        self.assertEqual(shown["last_run_at"], added["run"]["queued_at"])
        self.assertEqual(shown["last_state"], "succeeded")

    def test_a_failed_run_exits_with_1_whatever_its_cause(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop", "--where", "orders=no_such_column > 1")
        failed = d.ctl("job", "run", "j", "--wait")
        self.assertEqual(failed.code, 1, failed)
        self.assertIn("(usage)", failed.err)
        os.mkdir(d.path("folder.db"))
        d.ok("database", "add", "folder", f"sqlite://{d.path('folder.db')}")
        d.ok("database", "add", "absent", f"sqlite://{d.path('absent.db')}")
        for name in ("folder", "absent"):
            failed = d.ctl("backup", name, "--wait")
            self.assertEqual(failed.code, 1, failed)
            waited = d.ctl("run", "wait", d.json("run", "list", "--limit", "1")["runs"][0]["id"])
            self.assertEqual(waited.code, 1, waited)
        # What the command itself names wrongly is another matter.
        self.assertEqual(d.ctl("backup", "nothing", "--wait").code, 2)

    def test_explain_and_diff_in_the_formats_for_scripts(self):
        d = self.daemon
        explain = ("schedule", "explain", "--cron", "0 3 * * *", "--timezone", "UTC", "--from", "2026-11-21T00:00:00Z", "--count", "2")
        self.assertEqual(d.ok("-o", "name", *explain).out, "2026-11-21T03:00:00.000Z\n2026-11-22T03:00:00.000Z\n")
        lines = d.ok("-o", "jsonl", *explain).out.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn('"at":"2026-11-21T03:00:00.000Z"', lines[0])
        first = d.backup("shop")
        d.ok("database", "add", "part", f"sqlite://{self.shop}")
        second = self.run_of("backup", "part", "--include", "orders")["artifact"]
        names = d.ok("-o", "name", "artifact", "diff", first, second).out.split()
        self.assertIn("data/customers", names)
        refused = d.ctl("-o", "name", "restore", first, "--to", "shop", "--plan")
        self.assertEqual(refused.code, 64, refused)
        self.assertIn("no names", refused.err)

    def test_lists_of_what_does_not_exist(self):
        d = self.daemon
        for words in (("artifact", "list", "--database", "shopp"), ("artifact", "list", "--job", "nightli"), ("run", "list", "--job", "nightli")):
            if "--job" in words and not d.json("job", "list")["jobs"]:
                d.ok("job", "add", "nightly", "--database", "shop")
            unknown = d.ctl(*words)
            self.assertEqual(unknown.code, 2, unknown)
            self.assertIn("did you mean", unknown.err)
        self.assertEqual(d.json("artifact", "list", "--job", "nightly")["artifacts"], [])
        self.assertEqual(d.json("artifact", "list", "--database", "shop")["artifacts"], [])
        # History outlives what it is about.
        d.ok("job", "run", "nightly", "--wait")
        d.ok("job", "remove", "nightly")
        self.assertEqual(len(d.json("artifact", "list", "--job", "nightly")["artifacts"]), 1)
        self.assertEqual(d.json("run", "list", "--job", "nightly", "--state", "failed")["runs"], [])

    def test_the_list_of_artifacts_tells_their_states(self):
        d = self.daemon
        whole = d.backup("shop")
        part = self.run_of("backup", "shop", "--include", "o*", "--include", "log", "--exclude", "l*")
        self.assertEqual(part["state"], "succeeded", part)
        skipped = d.json("artifact", "show", part["artifact"])["artifact"]["skipped"]
        self.assertEqual([entry["name"] for entry in skipped], ["*", "l*"])

        def line(artifact):
            return next(row for row in d.ok("artifact", "list").out.splitlines() if row.startswith(artifact))

        self.assertRegex(line(whole), r" sealed +-$")
        self.assertRegex(line(part["artifact"]), r" sealed \(partial\) +-$")
        d.ok("artifact", "verify", part["artifact"], "--wait")
        self.assertRegex(line(part["artifact"]), r" checked \(partial\) +-$")
        d.ok("artifact", "drill", whole, "--wait")
        self.assertRegex(line(whole), r" proved +-$")
        for base, _, files in os.walk(os.path.join(d.state, "repository", "packs")):
            for name in files:
                with open(os.path.join(base, name), "r+b") as pack:
                    pack.seek(200)
                    pack.write(b"damage")
        self.assertEqual(d.ctl("artifact", "verify", whole, "--wait").code, 7)
        self.assertRegex(line(whole), r" damaged +-$")

    def test_progress_counts_streams_to_their_end(self):
        d = self.daemon
        whole = d.backup("shop")
        part = self.run_of("backup", "shop", "--exclude", "log")
        streams = {artifact["id"]: artifact["statistics"]["streams"] for artifact in d.json("artifact", "list")["artifacts"]}
        expected = {
            ("backup", "shop", "--exclude", "log"): streams[part["artifact"]],
            ("artifact", "verify", whole): streams[whole],
            ("artifact", "verify", part["artifact"]): streams[part["artifact"]],
            ("repository", "check", "default", "--read-data"): None,
            ("artifact", "drill", whole): 1,  # the pages: all that a restore of the whole reads
            ("artifact", "drill", part["artifact"]): 2,
            ("artifact", "export", whole, "--format", "csv", "--to", d.path("out.zip")): 3,
            ("artifact", "export", whole, "--format", "json", "--to", d.path("out")): 3,
            ("artifact", "export", whole, "--format", "archive", "--to", d.path("out.dbbackup")): streams[whole],
            ("artifact", "export", whole, "--format", "native", "--to", d.path("out.db")): 1,
        }
        for words, count in expected.items():
            progress = self.run_of(*words)["progress"]
            if count is None:
                count = sum(artifact["statistics"]["streams"] for artifact in d.json("artifact", "list", "--control")["artifacts"])
            self.assertEqual((progress["streams_done"], progress["streams_total"]), (count, count), words)

    def test_a_repository_with_schedules_is_not_removed_with_them_in_silence(self):
        d = self.daemon
        d.ok("repository", "add", "vault", f"file://{d.path('vault')}")
        d.ok("schedule", "add", "weekly-check", "--check", "vault", "--cron", "@weekly")
        d.ok("schedule", "add", "weekly-prune", "--prune", "vault", "--cron", "@weekly")
        refused = d.ctl("repository", "remove", "vault", "--yes")
        self.assertEqual(refused.code, 6, refused)
        self.assertIn("schedules: weekly-check, weekly-prune", refused.err)
        d.ok("schedule", "remove", "weekly-check")
        d.ok("schedule", "remove", "weekly-prune")
        d.ok("repository", "remove", "vault", "--yes")

    def test_a_drill_into_a_database_that_holds_something(self):
        d = self.daemon
        artifact = d.backup("shop")
        d.ok("database", "allow-restore", "shop")
        before = content(self.shop)
        refused = d.ctl("artifact", "drill", artifact, "--scratch", "shop", "--wait")
        self.assertEqual(refused.code, 6, refused)
        self.assertIn("not empty", refused.err)
        self.assertIn("--scratch", refused.err)
        self.assertNotIn("--mode", refused.err)
        self.assertEqual(content(self.shop), before)

    def test_rescue_into_a_database_that_holds_something(self):
        d = self.daemon
        d.backup("shop")
        before = content(self.shop)
        d.ok("repository", "key", "export", "default", "--file", d.path("key.txt"))

        def rescue(*words):
            return subprocess.run([DAEMON, "rescue", "restore", "--repository", f"file://{d.state}/repository",
                                   "--recovery-key-file", d.path("key.txt"), "--to", f"sqlite://{self.shop}", *words],
                                  capture_output=True, text=True, check=False)

        refused = rescue()
        self.assertEqual(refused.returncode, 73, refused.stderr)
        self.assertIn("--mode replace", refused.stderr)
        self.assertEqual(rescue("--mode", "replace").returncode, 73)
        self.assertEqual(rescue("--mode", "overwrite").returncode, 64)
        self.assertEqual(content(self.shop), before)
        os.truncate(self.shop, 0)
        make_shop(self.shop, customers=3, orders=0)
        replaced = rescue("--mode", "replace", "--yes")
        self.assertEqual(replaced.returncode, 0, replaced.stderr)
        self.assertEqual(content(self.shop), before)

    def test_mistakes_are_called_by_what_was_typed(self):
        d = self.daemon
        wrong = d.ctl("job", "add", "j", "--database", "shop", "--keep-last", "many")
        self.assertEqual(wrong.code, 64)
        self.assertIn("job add: --keep-last is not a whole number", wrong.err)
        wrong = d.ctl("--soket", d.socket, "status")
        self.assertEqual(wrong.code, 64)
        self.assertIn("unknown option --soket", wrong.err)
        self.assertIn("did you mean --socket?", wrong.err)
        wrong = d.ctl("artifact", "show", "abc")
        self.assertEqual(wrong.code, 64)
        self.assertIn('artifact id "abc" is too short', wrong.err)


if __name__ == "__main__":
    main()
