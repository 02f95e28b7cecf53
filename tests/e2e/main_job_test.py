#!/usr/bin/python3
"""The product's main job through its two programs, as a user does it."""
import datetime
import json
import os
import sqlite3
import stat
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import PATIENCE, Daemon, content, main, make_shop  # noqa: E402


class MainJob(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")

    def test_acceptance_commands_in_order(self):
        d = self.daemon
        d.ok("job", "add", "shop-nightly", "--database", "shop", "--keep-last", "7")
        d.ok("schedule", "add", "shop-nightly", "--job", "shop-nightly", "--cron", "*/5 * * * *", "--timezone", "Europe/Berlin", "--due-now")
        d.ok("backup", "shop", "--wait", "--follow")
        artifacts = d.json("artifact", "list")
        self.assertEqual(artifacts["schema_version"], 1)
        newest = artifacts["artifacts"][0]
        self.assertEqual(newest["database"], "shop")
        self.assertEqual(newest["state"], "sealed")
        self.assertEqual(newest["statistics"]["rows"], 3500)
        d.ok("artifact", "drill", "latest", "--wait")
        self.assertEqual(d.json("artifact", "show", newest["id"])["artifact"]["state"], "proved")

        target = d.path("shop2.db")
        d.ok("database", "add", "shop2", f"sqlite://{target}")
        plan = d.json("restore", "latest", "--to", "shop2", "--plan")
        self.assertFalse(os.path.exists(target))
        self.assertTrue(plan["plan"]["refusals"])
        refused = d.ctl("restore", "latest", "--to", "shop2", "--wait")
        self.assertEqual(refused.code, 6, refused)
        self.assertIn("allow-restore", refused.err)
        d.ok("database", "allow-restore", "shop2", "--for", "10m")
        d.ok("restore", "latest", "--to", "shop2", "--wait")
        self.assertEqual(content(self.shop), content(target))
        d.ok("repository", "check", "default", "--read-data", "--wait")
        fires = d.json("schedule", "explain", "shop-nightly", "--count", "5")["fires"]
        self.assertEqual(len(fires), 5)
        status = d.json("status")
        self.assertEqual(status["jobs"][0]["name"], "shop-nightly")
        self.assertEqual(status["repositories"][0]["name"], "default")
        self.assertTrue(status["repositories"][0]["reachable"])

    def test_due_now_runs_the_job_at_once(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        added = d.json("schedule", "add", "s", "--job", "j", "--cron", "0 3 * * *", "--due-now")
        d.ok("run", "wait", added["run"]["id"])
        self.assertEqual(len(d.json("artifact", "list", "--job", "j")["artifacts"]), 1)

    def test_an_interval_schedule_fires_by_itself(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        d.ok("schedule", "add", "s", "--job", "j", "--cron", "@every 1s")
        deadline = time.monotonic() + PATIENCE
        runs = []
        while len(runs) < 2 and time.monotonic() < deadline:
            runs = [r for r in d.json("run", "list", "--job", "j")["runs"] if r["state"] == "succeeded"]
        self.assertGreaterEqual(len(runs), 2)
        self.assertTrue(all(r["schedule"] == "s" for r in runs))

    def test_second_backup_of_unchanged_data_adds_almost_nothing(self):
        first = self.daemon.backup("shop")
        second = self.daemon.backup("shop")
        a = self.daemon.json("artifact", "show", first)["artifact"]
        b = self.daemon.json("artifact", "show", second)["artifact"]
        self.assertEqual(a["root_hash"], b["root_hash"])
        self.assertLess(b["statistics"]["added_bytes"], a["statistics"]["added_bytes"] / 4)
        self.assertEqual(self.daemon.json("artifact", "diff", first, second)["diff"]["streams"], [])

    def test_diff_names_the_table_that_changed(self):
        first = self.daemon.backup("shop")
        db = sqlite3.connect(self.shop)
        db.execute("UPDATE orders SET total = 0 WHERE id = 5")
        db.commit()
        db.close()
        second = self.daemon.backup("shop")
        names = {s["name"]: s["change"] for s in self.daemon.json("artifact", "diff", first, second)["diff"]["streams"]}
        self.assertEqual(names.get("data/main.orders", names.get("data/orders")), "changed", names)
        self.assertNotIn("data/customers", names)

    def test_files_are_private(self):
        self.daemon.backup("shop")
        for base, folders, files in os.walk(self.daemon.state):
            for name in folders:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(base, name)).st_mode), 0o700, name)
            for name in files:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(base, name)).st_mode) & 0o077, 0, name)

    def test_partial_backup_and_restore_of_one_table(self):
        d = self.daemon
        run = d.json("backup", "shop", "--include", "orders", "--wait")
        target = d.path("part.db")
        d.ok("database", "add", "part", f"sqlite://{target}")
        d.ok("database", "allow-restore", "part")
        d.ok("restore", run.get("run", run)["artifact"], "--to", "part", "--wait")
        db = sqlite3.connect(target)
        self.assertEqual(db.execute("SELECT count(*) FROM orders").fetchone(), (3000,))
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
        self.assertEqual(names, ["orders"])
        db.close()

    def test_one_table_out_of_a_whole_artifact(self):
        d = self.daemon
        artifact = d.backup("shop")
        target = d.path("one.db")
        d.ok("database", "add", "one", f"sqlite://{target}")
        d.ok("database", "allow-restore", "one")
        d.ok("restore", artifact, "--to", "one", "--include", "customers", "--wait")
        source = content(self.shop)[1]["customers"]
        self.assertEqual(content(target)[1], {"customers": source})

    def test_restore_guards(self):
        d = self.daemon
        d.backup("shop")
        d.ok("database", "allow-restore", "shop")
        refused = d.ctl("restore", "latest", "--to", "shop", "--wait")
        self.assertEqual(refused.code, 6, refused)
        refused = d.ctl("restore", "latest", "--to", "shop", "--mode", "replace", "--wait")
        self.assertIn(refused.code, (6, 64), refused)
        before = content(self.shop)
        d.ok("restore", "latest", "--to", "shop", "--mode", "replace", "--yes", "--wait")
        self.assertEqual(content(self.shop), before)
        control = os.path.join(d.state, "control.db")
        d.ok("database", "add", "control", f"sqlite://{control}")
        d.ok("database", "allow-restore", "control")
        refused = d.ctl("restore", "latest", "--to", "control", "--mode", "replace", "--yes", "--wait")
        self.assertEqual(refused.code, 6, refused)
        d.ok("status")

    def test_replace_reaches_a_program_that_has_the_database_open(self):
        d = self.daemon
        artifact = d.backup("shop")
        db = sqlite3.connect(self.shop, isolation_level=None)
        db.execute("DELETE FROM orders WHERE id > 10")
        d.ok("database", "allow-restore", "shop")
        d.ok("restore", artifact, "--to", "shop", "--mode", "replace", "--yes", "--wait")
        self.assertEqual(db.execute("SELECT count(*) FROM orders").fetchone(), (3000,))
        db.execute("INSERT INTO customers (name) VALUES ('still the same file')")
        db.close()
        db = sqlite3.connect(self.shop)
        self.assertEqual(db.execute("SELECT count(*) FROM customers WHERE name LIKE 'still%'").fetchone(), (1,))
        db.close()

    def test_holds_protect_artifacts(self):
        d = self.daemon
        artifact = d.backup("shop")
        d.ok("artifact", "hold", artifact, "--reason", "audit")
        self.assertEqual(d.json("artifact", "show", artifact)["artifact"]["holds"][0]["reason"], "audit")
        self.assertEqual(d.ctl("artifact", "remove", artifact, "--yes").code, 6)
        d.ok("artifact", "release", artifact)
        d.ok("artifact", "remove", artifact, "--yes")
        self.assertEqual(d.json("artifact", "list")["artifacts"], [])
        self.assertEqual(d.ctl("artifact", "show", artifact).code, 2)

    def test_prune_frees_what_no_artifact_needs(self):
        d = self.daemon
        first = d.backup("shop")
        kept = self.daemon.path("other.db")
        make_shop(kept, customers=50, orders=20)
        d.ok("database", "add", "other", f"sqlite://{kept}")
        second = d.backup("other")
        d.ok("artifact", "remove", first, "--yes")
        report = d.json("repository", "prune", "default", "--dry-run")["report"]
        self.assertGreater(report["removable_bytes"], 0)
        d.ok("repository", "prune", "default", "--wait")
        d.ok("repository", "check", "default", "--read-data", "--wait")
        d.ok("artifact", "drill", second, "--wait")

    def test_schedules_pause_resume_and_explain(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        d.ok("schedule", "add", "s", "--job", "j", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")
        d.ok("schedule", "pause", "s")
        self.assertEqual(d.json("schedule", "show", "s")["schedule"]["state"], "paused")
        self.assertEqual(d.json("schedule", "list", "--active-only")["schedules"], [])
        d.ok("schedule", "resume", "s")
        gap = d.json("schedule", "explain", "s", "--from", "2026-03-28T12:00:00Z", "--count", "2")["fires"]
        self.assertEqual(gap[0]["at"], "2026-03-29T01:00:00.000Z")
        never = d.ctl("schedule", "add", "n", "--job", "j", "--cron", "0 0 30 2 *")
        self.assertEqual(never.code, 64, never)
        due = d.json("schedule", "run-due", "--once", "--dry-run")
        self.assertEqual(due["due"], [])

    def test_explain_shows_a_weekly_drill_across_the_change_of_clocks(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        d.ok("schedule", "add", "weekly-drill", "--drill", "j", "--cron", "0 4 * * sun", "--timezone", "America/New_York")
        fires = d.json("schedule", "explain", "weekly-drill", "--from", "2027-03-07T00:00:00Z", "--count", "3")["fires"]
        self.assertEqual([fire["at"] for fire in fires],
                         ["2027-03-07T09:00:00.000Z", "2027-03-14T08:00:00.000Z", "2027-03-21T08:00:00.000Z"])
        self.assertEqual([fire["local"] for fire in fires],
                         ["2027-03-07T04:00:00-05:00", "2027-03-14T04:00:00-04:00", "2027-03-21T04:00:00-04:00"])
        self.assertEqual([fire["reason"] for fire in fires],
                         ["", "clocks went forward by 1h at 2027-03-14T03:00:00-04:00", ""])
        first = d.json("schedule", "explain", "weekly-drill", "--from", "2027-03-13T00:00:00Z", "--count", "5")["fires"][0]
        self.assertEqual(first["at"], "2027-03-14T08:00:00.000Z")
        self.assertIn("clocks went forward", first["reason"])

    def test_a_schedule_waits_for_its_window_and_says_so(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        opens = datetime.datetime.now(datetime.timezone.utc).hour + 6
        window = f"{opens % 24:02}:00-{(opens + 2) % 24:02}:00"
        added = d.ok("schedule", "add", "s", "--job", "j", "--cron", "@every 1s", "--timezone", "UTC", "--window", window)
        self.assertNotIn("warning", added.err)

        deadline = time.monotonic() + PATIENCE
        due = []
        while not due and time.monotonic() < deadline:
            due = d.json("schedule", "run-due", "--once", "--dry-run")["due"]
        due = due[0]
        self.assertEqual((due["schedule"], due["action"]), ("s", "wait"))
        self.assertIn("outside its windows", due["reason"])
        shown = d.json("schedule", "show", "s")["schedule"]
        self.assertEqual(shown["waiting"], due["reason"])
        self.assertEqual(shown["next_run_at"], due["starts_at"])
        self.assertIn(f"T{opens % 24:02}:00:00", shown["next_run_at"])
        fire = d.json("schedule", "explain", "s", "--count", "1")["fires"][0]
        self.assertEqual(fire["starts_at"], due["starts_at"])
        self.assertIn("outside its windows", fire["reason"])
        self.assertEqual(d.json("run", "list")["runs"], [])
        d.ok("schedule", "pause", "s")
        resumed = d.json("schedule", "resume", "s")
        self.assertGreaterEqual(resumed["left_out"], 1)
        self.assertEqual(d.ctl("schedule", "add", "w", "--job", "j", "--cron", "@daily", "--window", "25:00-26:00").code, 64)

    def test_drill_schedule_and_check_schedule(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        d.ok("job", "run", "j", "--wait")
        drill = d.json("schedule", "add", "proof", "--drill", "j", "--cron", "@weekly", "--due-now")
        d.ok("run", "wait", drill["run"]["id"])
        check = d.json("schedule", "add", "check", "--check", "default", "--cron", "@monthly", "--due-now")
        d.ok("run", "wait", check["run"]["id"])
        self.assertEqual(d.json("artifact", "show", "latest:j")["artifact"]["state"], "proved")

    def test_a_job_with_schedules_is_not_removed_with_them_in_silence(self):
        d = self.daemon
        d.ok("job", "add", "j", "--database", "shop")
        d.ok("schedule", "add", "s", "--job", "j", "--cron", "@daily")
        refused = d.ctl("job", "remove", "j")
        self.assertEqual(refused.code, 6, refused)
        self.assertIn("schedules: s", refused.err)
        d.ok("schedule", "remove", "s")
        d.ok("job", "remove", "j")

    def test_a_plan_says_what_would_be_refused(self):
        d = self.daemon
        d.backup("shop")
        plan = d.ok("restore", "latest", "--to", "shop", "--plan")
        self.assertIn("not allowed", plan.err)
        self.assertIn("not empty", plan.err)

    def test_options_of_a_job_reach_the_engine(self):
        d = self.daemon
        wrong = d.ctl("job", "add", "j", "--database", "shop", "--option", "chek=full")
        self.assertEqual(wrong.code, 64, wrong)
        d.ok("job", "add", "j", "--database", "shop", "--option", "block=64KiB")
        d.ok("job", "run", "j", "--wait")
        self.assertEqual(d.ctl("job", "add", "k", "--database", "shop", "--parallel", "1000").code, 64)

    def test_events_tell_who_did_what(self):
        d = self.daemon
        events = d.json("events")["events"]
        added = [e for e in events if e["action"] == "database.add"]
        self.assertEqual(added[0]["uid"], os.getuid())
        self.assertEqual(added[0]["outcome"], "ok")
        self.assertEqual(added[0]["object"], "shop")

    def test_outputs(self):
        d = self.daemon
        artifact = d.backup("shop")
        self.assertEqual(d.ok("-o", "name", "artifact", "list").out.strip(), artifact)
        lines = d.ok("-o", "jsonl", "backup", "shop", "--wait", "--follow").out.splitlines()
        self.assertTrue(all(isinstance(json.loads(line), dict) for line in lines), lines)
        table = d.ok("artifact", "list").out
        self.assertIn(artifact, table)
        self.assertNotIn("\x1b", table)
        missing = d.ctl("-o", "json", "job", "show", "nothing")
        self.assertEqual(missing.code, 2)
        self.assertEqual(json.loads(missing.out)["error"]["code"], "not_found")


if __name__ == "__main__":
    main()
