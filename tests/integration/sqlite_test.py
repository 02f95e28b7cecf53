#!/usr/bin/python3
"""SQLite databases of every shape through daemon, repository and back: busy writers, odd names, large files, bounded memory."""
import json
import os
import random
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, content, main  # noqa: E402

WRITER = r"""
import random, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
print("ready", flush=True)
number = 0
while True:
    a, b = random.sample(range(1, 1001), 2)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE accounts SET balance = balance - 7 WHERE id = ?", (a,))
    db.execute("UPDATE accounts SET balance = balance + 7 WHERE id = ?", (b,))
    db.execute("INSERT INTO journal (note) VALUES (?)", ("x" * random.randrange(3000),))
    db.execute("COMMIT")
    number += 1
"""


class Sqlite(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)

    def database(self, name, statements=(), pragmas=()):
        path = self.daemon.path(name + ".db")
        db = sqlite3.connect(path, isolation_level=None)
        for pragma in pragmas:
            db.execute("PRAGMA " + pragma)
        for statement in statements:
            db.execute(statement)
        db.close()
        self.daemon.ok("database", "add", name, f"sqlite://{path}")
        return path

    def round_trip(self, name, path):
        """Backs up, drills, restores to a new file; returns its path."""
        artifact = self.daemon.backup(name)
        self.daemon.ok("artifact", "drill", artifact, "--wait", timeout=600)
        target = self.daemon.path(name + "-restored.db")
        self.daemon.ok("database", "add", name + "-restored", f"sqlite://{target}")
        self.daemon.ok("database", "allow-restore", name + "-restored")
        self.daemon.ok("restore", artifact, "--to", name + "-restored", "--wait", timeout=600)
        return target

    def test_writers_active_in_both_journal_modes(self):
        for mode in ("WAL", "DELETE"):
            with self.subTest(mode=mode):
                name = "bank-" + mode.lower()
                path = self.database(name, ["CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)",
                                            "CREATE TABLE journal (id INTEGER PRIMARY KEY, note TEXT)"], [f"journal_mode={mode}"])
                db = sqlite3.connect(path)
                db.executemany("INSERT INTO accounts VALUES (?, 100)", [(i,) for i in range(1, 1001)])
                db.commit()
                writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) for _ in range(2)]
                try:
                    for writer in writers:
                        writer.stdout.readline()
                    for _ in range(5):
                        artifact = self.daemon.backup(name)
                        target = self.daemon.path(f"{artifact}.db")
                        self.daemon.ok("artifact", "export", artifact, "--format", "native", "--to", target, "--wait")
                        copy = sqlite3.connect(target)
                        self.assertEqual(copy.execute("SELECT sum(balance), count(*) FROM accounts").fetchone(), (100000, 1000))
                        self.assertEqual(copy.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                        copy.close()
                        os.unlink(target)
                    self.assertTrue(all(writer.poll() is None for writer in writers), "a writer gave up")
                finally:
                    for writer in writers:
                        writer.kill()
                        writer.wait()
                        writer.stdout.close()
                    db.close()
                self.daemon.ok("artifact", "drill", "latest", "--wait")

    def test_shapes(self):
        shapes = {
            "empty": ([], []),
            "utf16": (["CREATE TABLE t (x)", "INSERT INTO t VALUES ('Grüße 🎉')"], ["encoding='UTF-16le'"]),
            "tiny-pages": (["CREATE TABLE t (x)", "INSERT INTO t VALUES (randomblob(9000))"], ["page_size=512"]),
            "huge-pages": (["CREATE TABLE t (x)", "INSERT INTO t VALUES (randomblob(900000))"], ["page_size=65536"]),
            "versions": (["CREATE TABLE t (x)"], ["user_version=77", "application_id=1234567", "auto_vacuum=INCREMENTAL"]),
            "kinds": (["CREATE TABLE w (a TEXT PRIMARY KEY, b) WITHOUT ROWID", "INSERT INTO w VALUES ('k', 1.5)",
                       "CREATE TABLE s (a INTEGER, b TEXT) STRICT", "INSERT INTO s VALUES (1, 'x')",
                       "CREATE TABLE g (a INTEGER, b AS (a * 2) STORED, c AS (a + 1))", "INSERT INTO g (a) VALUES (21)",
                       "CREATE VIRTUAL TABLE f USING fts5(body)", "INSERT INTO f VALUES ('the quick brown fox')",
                       "CREATE VIRTUAL TABLE r USING rtree(id, minx, maxx)", "INSERT INTO r VALUES (1, 0.5, 2.5)",
                       "CREATE TABLE empty_table (a, b, c)", "CREATE INDEX part ON g(a) WHERE a > 3",
                       "CREATE TABLE au (id INTEGER PRIMARY KEY AUTOINCREMENT, x)", "INSERT INTO au (x) VALUES (1), (2)"], []),
            "names": (['CREATE TABLE "with space" ("a ""quoted"" column", "new\nline")', """INSERT INTO "with space" VALUES (1, 'x')""",
                       'CREATE TABLE "Ünïcödé 表" (x)', """INSERT INTO "Ünïcödé 表" VALUES (x'00ff')""", "CREATE TABLE \"semi;colon'quote\" (x)",
                       'CREATE TABLE "new\nline" (x)', 'INSERT INTO "new\nline" VALUES (NULL), (\'\'), (\'\\N\'), (\'a\tb\nc\\\')'], []),
            "values": (["CREATE TABLE v (x)", "INSERT INTO v VALUES (9223372036854775807), (-9223372036854775808), (0.1), (1e308), (-0.0), (9e999), (-9e999), "
                        "(1), (1.0), ('1'), (x'31'), (NULL), (''), (x''), (cast(x'610062' as text))"], []),
        }
        for name, (statements, pragmas) in shapes.items():
            with self.subTest(shape=name):
                path = self.database(name, statements, pragmas)
                target = self.round_trip(name, path)
                self.assertEqual(content(path), content(target))
                db = sqlite3.connect(target)
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                if name == "kinds":
                    self.assertEqual(db.execute("SELECT count(*) FROM f WHERE f MATCH 'quick'").fetchone(), (1,))
                    self.assertEqual(db.execute("SELECT id FROM r WHERE minx < 1").fetchone(), (1,))
                db.close()

    def test_two_thousand_tables(self):
        path = self.daemon.path("many.db")
        db = sqlite3.connect(path)
        for number in range(2000):
            db.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, x TEXT)")
            db.execute(f"INSERT INTO t{number} (x) VALUES ('row {number}')")
        db.commit()
        db.close()
        self.daemon.ok("database", "add", "many", f"sqlite://{path}")
        target = self.round_trip("many", path)
        self.assertEqual(content(path), content(target))
        shown = self.daemon.json("artifact", "show", "latest")["artifact"]
        self.assertEqual(len([t for t in shown["tables"] if t["name"] != "sqlite_schema"]), 2000)

    def test_exports_and_archive(self):
        d = self.daemon
        path = self.database("shop", ["CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT)", "INSERT INTO a VALUES (1, NULL), (2, ''), (3, 'x,\"y\"\nz')",
                                      "CREATE TABLE b (x REAL, y BLOB)", "INSERT INTO b VALUES (1.5, x'00ff')", "CREATE INDEX bi ON b(x)"])
        artifact = d.backup("shop")
        for form, name in (("csv", "csv"), ("csv", "c.zip"), ("csv", "c.tar.zst"), ("sql", "dump.sql"), ("native", "copy.db"), ("archive", "a.dbbackup")):
            d.ok("artifact", "export", artifact, "--format", form, "--to", d.path(name), "--wait")
        with open(d.path("csv/data/a.csv"), newline="", encoding="utf-8") as file:
            self.assertEqual(file.read(), 'id,t\r\n1,\r\n2,""\r\n3,"x,""y""\nz"\r\n')
        self.assertTrue(os.path.exists(d.path("csv/schema.sql")))
        self.assertTrue(os.path.exists(d.path("csv/metadata.json")))
        replayed = d.path("replayed.db")
        with open(d.path("dump.sql"), encoding="utf-8") as file:
            subprocess.run(["sqlite3", replayed], stdin=file, check=True)
        self.assertEqual(content(path)[:2], content(replayed)[:2])
        self.assertEqual(content(path), content(d.path("copy.db")))
        again = d.ctl("artifact", "export", artifact, "--format", "csv", "--to", d.path("csv"), "--wait")
        self.assertEqual(again.code, 6, again)
        # The archive restores without the control database's knowledge, and imports into another repository.
        d.ok("database", "add", "fromfile", f"sqlite://{d.path('fromfile.db')}")
        d.ok("database", "allow-restore", "fromfile")
        d.ok("restore", "--file", d.path("a.dbbackup"), "--to", "fromfile", "--wait")
        self.assertEqual(content(path), content(d.path("fromfile.db")))
        d.ok("repository", "add", "second", f"file://{d.path('second')}")
        elsewhere = d.ctl("artifact", "import", d.path("a.dbbackup"), "--repository", "second", "--wait")
        self.assertEqual(elsewhere.code, 6, elsewhere)  # an artifact is in one repository at a time
        d.ok("artifact", "remove", artifact, "--yes")
        d.ok("artifact", "import", d.path("a.dbbackup"), "--repository", "second", "--wait")
        d.ok("repository", "check", "second", "--read-data", "--wait")

    def test_sql_export_of_every_shape_replays(self):
        d = self.daemon
        path = self.database("odd", ["CREATE TABLE g (a INTEGER, b AS (a * 2) STORED, c AS (a + 1))", "INSERT INTO g (a) VALUES (21)",
                                     "CREATE TABLE r (x)", "INSERT INTO r VALUES (9e999), (-9e999), (1.5), (-9223372036854775808)",
                                     "CREATE VIRTUAL TABLE f USING fts5(body)", "INSERT INTO f VALUES ('the quick brown fox')",
                                     "CREATE TRIGGER t AFTER DELETE ON g BEGIN INSERT INTO r VALUES (old.a); END", "CREATE VIEW v AS SELECT a FROM g"])
        artifact = d.backup("odd")
        d.ok("artifact", "export", artifact, "--format", "sql", "--to", d.path("odd.sql"), "--wait")
        d.ok("artifact", "export", artifact, "--format", "json", "--to", d.path("odd-json"), "--wait")
        with open(d.path("odd-json/data/r.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)[0], {"x": {"$real": "inf"}})
        replayed = d.path("odd-replayed.db")
        with open(d.path("odd.sql"), encoding="utf-8") as file:
            subprocess.run(["sqlite3", "-bail", replayed], stdin=file, check=True)
        self.assertEqual(content(path)[1], content(replayed)[1])
        db = sqlite3.connect(replayed)
        self.assertEqual(db.execute("SELECT count(*) FROM f WHERE f MATCH 'quick'").fetchone(), (1,))
        db.close()

    def test_an_empty_selection_is_refused(self):
        self.database("one", ["CREATE TABLE a (x)"])
        result = self.daemon.ctl("backup", "one", "--exclude", "*", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("(usage)", result.err)

    def test_archive_with_a_passphrase_opens_in_a_foreign_daemon(self):
        d = self.daemon
        path = self.database("shop", ["CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT)", "INSERT INTO a VALUES (1, 'x')"])
        d.ok("artifact", "export", d.backup("shop"), "--format", "archive", "--to", d.path("p.dbbackup"), "--passphrase-stdin", "--wait", stdin="open sesame\n")
        other = Daemon()
        self.addCleanup(other.close)
        target = other.path("t.db")
        other.ok("database", "add", "t", f"sqlite://{target}")
        other.ok("database", "allow-restore", "t")
        wrong = other.ctl("restore", "--file", d.path("p.dbbackup"), "--to", "t", "--passphrase-stdin", "--wait", stdin="wrong\n")
        self.assertEqual(wrong.code, 1, wrong)
        self.assertIn("(not_authorised)", wrong.err)
        other.ok("restore", "--file", d.path("p.dbbackup"), "--to", "t", "--passphrase-stdin", "--wait", stdin="open sesame\n")
        self.assertEqual(content(path), content(target))

    def test_two_gibibytes_in_bounded_memory_with_the_lock_page(self):
        """Larger than the configured memory and than SQLite's lock page at 1 GiB; resident set stays under 256 MiB."""
        path = self.daemon.path("large.db")
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, data BLOB)")
        block = random.Random(3).randbytes(1 << 20)
        db.execute("BEGIN")
        for number in range(2080):
            db.execute("INSERT INTO blobs VALUES (?, ?)", (number, block[number:] + block[:number]))
        db.execute("COMMIT")
        db.close()
        self.assertGreater(os.path.getsize(path), 2 << 30)
        self.daemon.ok("database", "add", "large", f"sqlite://{path}")
        artifact = self.daemon.json("backup", "large", "--wait", timeout=900)
        artifact = artifact.get("run", artifact)["artifact"]
        self.daemon.ok("artifact", "drill", artifact, "--wait", timeout=900)
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        print(f"peak resident set {peak // 1024} MiB")
        if "address" not in os.environ.get("DBBACKUP_SANITIZER", ""):
            self.assertLess(peak, 256 * 1024)
        target = self.daemon.path("out.db")
        self.daemon.ok("artifact", "export", artifact, "--format", "native", "--to", target, "--wait", timeout=900)
        copy = sqlite3.connect(target)
        self.assertEqual(copy.execute("SELECT count(*), sum(length(data)) FROM blobs").fetchone(), (2080, 2080 << 20))
        copy.close()


if __name__ == "__main__":
    main()
