#!/usr/bin/python3
"""What happens between the backups, through the client: retention and holds, the anomaly gate, scheduled checks and drills,
and an empty machine that learns everything from a repository."""
import os
import shutil
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, main, make_shop  # noqa: E402


class Keeping(unittest.TestCase):
    def setUp(self):
        self.daemon = self.make_daemon()
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")

    def make_daemon(self, **more):
        daemon = Daemon(**more)
        self.addCleanup(daemon.close)
        return daemon

    def sql(self, statement):
        db = sqlite3.connect(self.shop)
        db.execute(statement)
        db.commit()
        db.close()

    def run_job(self, job="nightly"):
        run = self.daemon.json("job", "run", job, "--wait")["run"]
        self.assertEqual(run["state"], "succeeded", run)
        return run["artifact"]

    def artifacts(self):
        return [a["id"] for a in self.daemon.json("artifact", "list")["artifacts"]]

    def plan(self):
        report = self.daemon.json("repository", "prune", "default", "--dry-run")["report"]
        return report, {a["id"]: a for a in report["artifacts"]}

    def test_retention_holds_and_the_plan(self):
        d = self.daemon
        added = d.ok("job", "add", "nightly", "--database", "shop", "--keep-last", "3", "--keep-daily", "7",
                     "--timezone", "America/New_York")
        self.assertNotIn("does not act", added.out + added.err)
        self.assertEqual(d.json("job", "show", "nightly")["job"]["timezone"], "America/New_York")
        self.assertEqual(d.ctl("job", "update", "nightly", "--timezone", "Mars/Olympus").code, 64)
        self.assertEqual(d.ctl("job", "update", "nightly", "--max-row-drop", "101").code, 64)
        made = [self.run_job() for _ in range(3)]
        d.ok("artifact", "hold", made[0], "--reason", "audit", "--until", "2099-06-30T00:00:00Z")
        made += [self.run_job() for _ in range(2)]
        self.assertEqual(self.artifacts(), [made[4], made[3], made[2], made[0]])
        expired = [e for e in d.json("events")["events"] if e["action"] == "artifact.expire"]
        self.assertEqual([e["object"] for e in expired], [f"artifact {made[1]}"])

        report, plan = self.plan()
        self.assertEqual(plan[made[0]]["reasons"], ["held: audit (until 2099-06-30T00:00:00.000Z)"])
        self.assertEqual(plan[made[4]]["reasons"], ["newest", "last 1 of 3", "daily 1 of 7"])
        self.assertIn("held: audit", d.ok("repository", "prune", "default", "--dry-run").out)
        self.assertIn("audit", d.ok("artifact", "show", made[0]).out)

        # A smaller promise: the plan says what goes and how many bytes; the prune does just that.
        self.sql("CREATE TABLE noise AS SELECT randomblob(300000) AS x")
        doomed = self.run_job()
        self.sql("UPDATE noise SET x = randomblob(300000)")
        last = self.run_job()
        d.ok("job", "update", "nightly", "--keep-last", "1", "--keep-daily", "0")
        report, plan = self.plan()
        self.assertEqual(plan[doomed]["action"], "remove")
        self.assertEqual(plan[doomed]["reasons"], ["no rule keeps it"])
        self.assertGreater(report["removable_bytes"], 250000)
        d.ok("repository", "prune", "default", "--wait")
        self.assertEqual(self.artifacts(), [last, made[0]])
        self.assertEqual(self.plan()[0]["removable_bytes"], 0)
        d.ok("artifact", "release", made[0])
        d.ok("repository", "prune", "default", "--wait")
        self.assertEqual(self.artifacts(), [last])
        d.ok("artifact", "drill", last, "--wait")
        d.ok("repository", "check", "default", "--read-data", "--wait")

    def test_a_failed_run_freezes_retention(self):
        d = self.daemon
        d.ok("job", "add", "nightly", "--database", "shop")
        made = [self.run_job() for _ in range(3)]
        d.ok("job", "update", "nightly", "--keep-last", "1")
        os.rename(self.shop, self.shop + ".away")
        self.assertNotEqual(d.ctl("job", "run", "nightly", "--wait").code, 0)
        os.rename(self.shop + ".away", self.shop)
        d.ok("repository", "prune", "default", "--wait")
        self.assertEqual(sorted(self.artifacts()), sorted(made))
        self.assertIn("until one succeeds", self.plan()[1][made[0]]["reasons"][0])
        self.assertEqual([self.run_job()], self.artifacts())

    def test_suspicious_artifacts_wait_for_a_person(self):
        d = self.daemon
        d.ok("job", "add", "nightly", "--database", "shop", "--keep-last", "1")
        good = self.run_job()
        self.sql("DROP TABLE customers")
        self.sql("DELETE FROM orders WHERE id > 100")
        run = d.json("job", "run", "nightly", "--wait")["run"]
        odd = run["artifact"]
        self.assertTrue(any("customers has vanished" in w for w in run["warnings"]), run)
        shown = d.json("artifact", "show", odd)["artifact"]
        self.assertTrue(shown["suspicious"])
        self.assertEqual(len(shown["suspicions"]), 2, shown["suspicions"])
        self.assertIn("artifact accept", d.ok("artifact", "show", odd).out)
        self.assertIn("suspicious", d.ok("artifact", "list").out)
        events = [e for e in d.json("events")["events"] if e["action"] == "artifact.suspicious"]
        self.assertEqual(events[0]["outcome"], "warning")
        self.run_job()
        d.ok("repository", "prune", "default", "--wait")
        self.assertEqual(len(self.artifacts()), 3)
        self.assertEqual(d.ctl("artifact", "accept", good).code, 6)
        d.ok("artifact", "accept", "latest:nightly")
        self.assertFalse(d.json("artifact", "show", odd)["artifact"]["suspicious"])
        self.assertEqual([self.run_job()], self.artifacts())

    def test_scheduled_maintenance(self):
        d = self.daemon
        d.ok("job", "add", "nightly", "--database", "shop")
        first = self.run_job()
        second = self.run_job()
        d.ok("schedule", "add", "checks", "--check", "default", "--cron", "0 0 1 1 *", "--due-now")
        for expected in (second, first):
            d.ok("schedule", "add", f"drill-{expected}", "--drill", "nightly", "--cron", "0 0 1 1 *", "--due-now")
            drills = [r for r in d.json("run", "list")["runs"] if r["kind"] == "drill"]
            d.ok("run", "wait", drills[0]["id"])
            self.assertEqual(drills[0]["artifact"], expected)
        check = [r for r in d.json("run", "list")["runs"] if r["kind"] == "check"][0]
        d.ok("run", "wait", check["id"])
        result = d.json("run", "show", check["id"])["run"]["result"]
        self.assertAlmostEqual(result["read_percent"], 100 / 30, delta=0.1)

    def test_an_empty_machine_learns_from_the_repository(self):
        d = self.daemon
        d.ok("job", "add", "nightly", "--database", "shop", "--keep-last", "9")
        d.ok("schedule", "add", "at-two", "--job", "nightly", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
        made = self.run_job()
        control = d.json("artifact", "list", "--control")["artifacts"]
        self.assertEqual([a["database"] for a in control], ["dbbackup-control", "shop"])
        self.assertEqual(self.artifacts(), [made])
        self.assertEqual(d.json("status")["repositories"][0]["artifacts"], 1)
        d.ok("artifact", "drill", "latest:dbbackup-control", "--wait")
        self.assertEqual(d.ctl("job", "add", "dbbackup-control", "--database", "shop").code, 64)
        key = d.path("recovery.key")
        d.ok("repository", "key", "export", "default", "--file", key)
        self.assertEqual(d.stop(), 0)

        fresh = self.make_daemon()
        store = fresh.path("moved")
        shutil.copytree(os.path.join(d.state, "repository"), store)
        url = f"file://{store}"
        refused = fresh.ctl("repository", "add", "old", url, "--recovery-key-file", __file__)
        self.assertEqual(refused.code, 64, refused)
        fresh.ok("repository", "add", "old", url, "--recovery-key-file", key, "--take-over")
        fresh.ok("repository", "rescan", "old", "--wait")
        self.assertEqual([a["id"] for a in fresh.json("artifact", "list")["artifacts"]], [made])
        job = fresh.json("job", "show", "nightly")["job"]
        self.assertEqual((job["repository"], job["keep"]["last"]), ("old", 9))
        self.assertEqual(fresh.json("schedule", "show", "at-two")["schedule"]["state"], "paused")
        self.assertTrue(fresh.json("events")["events"])
        fresh.ok("artifact", "drill", made, "--wait")
        fresh.ok("job", "run", "nightly", "--wait")


if __name__ == "__main__":
    main()
