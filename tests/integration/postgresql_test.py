#!/usr/bin/python3
"""PostgreSQL through daemon, repository and back: every kind of object, busy writers, odd servers, wrong logins, cancels."""
import csv
import os
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from fixture import Daemon, main  # noqa: E402
from postgresql import DEFAULT_PROGRAMS, PostgresqlServer  # noqa: E402

# pg_dump prints the casts of a CHECK on a varchar differently after any restore, its own included.
PRINTED_ANEW = "customers_status_check"
SHOP = """
CREATE TYPE state AS ENUM ('new', 'paid');
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, 'stamped'); RETURN NEW; END $$;
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, state state DEFAULT 'new', total numeric, note text);
CREATE INDEX orders_customer ON orders (customer);
CREATE TRIGGER orders_stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 100) i;
INSERT INTO orders (customer, total, note) SELECT i % 100 + 1, i * 1.5, CASE WHEN i % 3 = 0 THEN '' ELSE E'tab\\t"quote" \\\\N' END FROM generate_series(1, 1000) i;
"""


def until(condition, what, patience=60):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)


class Postgresql(unittest.TestCase):
    programs = DEFAULT_PROGRAMS
    client = DEFAULT_PROGRAMS
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = PostgresqlServer(cls.programs, settings=["max_locks_per_transaction=512", "deadlock_timeout=100ms"],
                                      client=cls.client)
        cls.addClassCleanup(cls.server.close)
        cls.server.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'")

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.number = 0

    def add(self, name, database, user="app", password=None, options=(), restore=False, server=None):
        self.number += 1
        path = self.daemon.path(f"password-{self.number}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.server.password if password is None else password)
        self.daemon.ok("database", "add", name, (server or self.server).url(database, user), "--password-file", path,
                       *(word for option in (*self.options, *options) for word in ("--option", option)))
        if restore:
            self.daemon.ok("database", "allow-restore", name)

    def drop(self, *names):
        for name in names:
            self.server.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def shop(self):
        self.drop("shop", "shop2")
        self.server.create("shop", SHOP)
        self.add("shop", "shop")
        return self.daemon.backup("shop")

    def same(self, left, right):
        self.assertEqual(self.server.hashes(left), self.server.hashes(right))
        printed = [[line for line in self.server.dump(name) if PRINTED_ANEW not in line] for name in (left, right)]
        self.assertEqual(*printed)

    # The commands of the manual, on a database with something of everything.
    def test_every_object_and_value_comes_back(self):
        self.addCleanup(self.drop_subscribed, "every", "every2")
        self.server.create("every")
        with open(os.path.join(HERE, "postgresql_fidelity.sql"), encoding="utf-8") as file:
            self.server.sql(file.read(), "every")
        self.server.sql("ALTER DATABASE every SET work_mem = '5MB'; COMMENT ON DATABASE every IS 'all of it'; "
                        "ALTER ROLE reader IN DATABASE every SET search_path = hidden; GRANT CREATE ON DATABASE every TO reader; "
                        "REVOKE TEMPORARY ON DATABASE every FROM PUBLIC")
        self.add("every", "every")
        self.add("every2", "every2", restore=True)
        d = self.daemon
        tested = d.json("database", "test", "every")
        self.assertIn("pg_dump", str(tested))
        artifact = d.backup("every")
        d.ok("artifact", "drill", "latest", "--wait")
        self.assertEqual([name for name in self.server.databases() if "scratch" in name], [])
        d.ok("restore", artifact, "--to", "every2", "--wait")
        self.same("every", "every2")
        settings = "SELECT setconfig, setrole FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = '{}' ORDER BY 2"
        self.assertEqual(self.server.sql(settings.format("every")), self.server.sql(settings.format("every2")))
        facts = "SELECT datacl, datdba, encoding, datcollate, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'"
        self.assertEqual(self.server.sql(facts.format("every")), self.server.sql(facts.format("every2")))
        objects = "SELECT oid, lomowner, lomacl, md5(lo_get(oid)), obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata ORDER BY oid"
        self.assertEqual(self.server.sql(objects, "every"), self.server.sql(objects, "every2"))
        self.assertEqual(len(self.server.sql(objects, "every").split("\n")), 3)
        positions = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"
        self.assertEqual(self.server.sql(positions, "every"), self.server.sql(positions, "every2"))
        # The SQL script does the same through psql.
        d.ok("artifact", "export", artifact, "--format", "sql", "--to", d.path("f.sql"), "--wait")
        self.addCleanup(self.drop_subscribed, "every3")
        self.server.create("every3")
        os.chmod(d.path("f.sql"), 0o644)
        with open(d.path("f.sql"), encoding="utf-8") as file:
            self.server.sql(file.read(), "every3")
        self.same("every", "every3")

    def drop_subscribed(self, *names):
        for name in names:
            if name in self.server.databases():
                self.server.psql("ALTER SUBSCRIPTION nowhere SET (slot_name = NONE); DROP SUBSCRIPTION nowhere", name, check=False)
        self.drop(*names)

    def test_chosen_tables_bring_what_they_depend_on(self):
        artifact = self.shop()
        d = self.daemon
        self.add("shop2", "shop2", restore=True)
        plan = d.ok("restore", artifact, "--to", "shop2", "--include", "public.orders", "--plan")
        self.assertIn("orders_customer_fkey", plan.out)
        self.assertNotIn("shop2", self.server.databases())
        d.ok("restore", artifact, "--to", "shop2", "--include", "public.orders", "--wait")
        self.assertEqual(self.server.hashes("shop2"), {"public.orders": self.server.hashes("shop")["public.orders"]})
        # Its type, its sequence with the position, its index and its trigger with the function are there.
        self.assertEqual(self.server.sql("INSERT INTO orders (total) VALUES (1) RETURNING id, state, note", "shop2"), "1001|new|stamped")
        self.assertEqual(self.server.sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", "shop2"), "orders_customer\norders_pkey")
        refused = d.ctl("restore", artifact, "--to", "shop2", "--include", "customers", "--wait")
        self.assertEqual(refused.code, 6, refused)
        d.ok("restore", artifact, "--to", "shop2", "--include", "customers", "--mode", "append", "--wait")
        d.ok("restore", artifact, "--to", "shop2", "--include", "orders", "--mode", "replace", "--yes", "--wait")
        self.assertEqual(self.server.hashes("shop2"), self.server.hashes("shop"))
        again = d.ctl("restore", artifact, "--to", "shop2", "--mode", "append", "--wait")
        self.assertEqual(again.code, 6, again)
        self.assertIn("customers", again.err)
        self.assertEqual(self.server.hashes("shop2"), self.server.hashes("shop"), "a failed append left rows")
        missing = d.ctl("backup", "shop", "--include", "ordrs", "--wait")
        self.assertNotEqual(missing.code, 0, missing)
        self.assertIn("(not_found)", missing.err)
        self.assertIn('did you mean "orders"', missing.err)
        d.ok("backup", "shop", "--include", "cust*", "--wait")
        d.ok("artifact", "drill", "latest", "--wait")

    def test_replace_changes_nothing_until_all_is_proved(self):
        artifact = self.shop()
        self.server.create("shop2", "CREATE TABLE other (x int); INSERT INTO other VALUES (1)")
        self.add("shop2", "shop2", restore=True)
        before = self.server.hashes("shop2")
        self.assertEqual(self.daemon.ctl("restore", artifact, "--to", "shop2", "--wait").code, 6)
        self.server.sql("ALTER TABLE customers OWNER TO reader", "shop")
        later = self.daemon.backup("shop")
        self.server.sql("REASSIGN OWNED BY reader TO app", "shop")
        self.server.sql("ALTER ROLE reader RENAME TO gone")
        try:
            failed = self.daemon.ctl("restore", later, "--to", "shop2", "--mode", "replace", "--yes", "--wait")
        finally:
            self.server.sql("ALTER ROLE gone RENAME TO reader")
        self.assertEqual(failed.code, 6, failed)
        self.assertIn("reader", failed.err)
        self.assertEqual(self.server.hashes("shop2"), before)
        self.assertEqual([name for name in self.server.databases() if "scratch" in name], [])
        self.daemon.ok("restore", artifact, "--to", "shop2", "--mode", "replace", "--yes", "--wait")
        self.same("shop", "shop2")

    def test_other_owner(self):
        self.drop("shop", "owned")
        self.server.create("shop", SHOP + "GRANT SELECT ON orders TO reader; ALTER TABLE customers OWNER TO reader;")
        self.add("shop", "shop")
        artifact = self.daemon.backup("shop")
        self.server.sql("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'")
        self.addCleanup(self.server.sql, "DROP DATABASE IF EXISTS owned; DROP ROLE plain")
        self.add("owned", "owned", "plain", "plain", ("no_owner=true",), restore=True)
        self.daemon.ok("restore", artifact, "--to", "owned", "--wait")
        self.assertEqual(self.server.hashes("owned"), self.server.hashes("shop"))
        self.assertEqual(self.server.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", "owned"), "plain")
        self.drop("owned")

    def test_exports(self):
        artifact = self.shop()
        self.daemon.ok("artifact", "export", artifact, "--format", "csv", "--to", self.daemon.path("csv"), "--wait")
        with open(self.daemon.path("csv/data/public.orders.csv"), newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.assertEqual(rows[0], ["id", "customer", "state", "total", "note"])
        self.assertEqual(rows[1:4], [["1", "2", "new", "1.5", "tab\t\"quote\" \\N"], ["2", "3", "new", "3.0", "tab\t\"quote\" \\N"], ["3", "4", "new", "4.5", ""]])
        self.assertEqual(len(rows), 1001)
        self.daemon.ok("artifact", "export", artifact, "--format", "json", "--to", self.daemon.path("json"), "--wait")

    def test_writers_keep_their_invariant(self):
        self.drop("bench", "bench2")
        self.server.create("bench")
        self.server.program("pgbench", "-i", "-s", "2", "-q", "bench")
        self.add("bench", "bench")
        self.add("bench2", "bench2", restore=True)
        writer = subprocess.Popen([os.path.join(DEFAULT_PROGRAMS, "pgbench"), "-n", "-c", "4", "-T", "120", "bench"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=self.server.environment())
        try:
            until(lambda: self.server.sql("SELECT count(*) > 50 FROM pgbench_history", "bench") == "t", "pgbench does not write")
            artifact = self.daemon.backup("bench")
            self.assertIsNone(writer.poll())
        finally:
            writer.terminate()
            writer.wait()
        self.daemon.ok("restore", artifact, "--to", "bench2", "--wait")
        sums = self.server.sql("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches), "
                               "(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history)", "bench2").split("|")
        self.assertEqual(len(set(sums)), 1, sums)
        self.drop("bench", "bench2")

    def test_logins_that_do_not_work(self):
        self.shop()
        self.add("wrong", "shop", password="not it")
        self.add("nowhere", "does_not_exist")
        self.add("poor", "shop", "reader", "reader")
        for name, code, words in (("wrong", 1, "password"), ("nowhere", 2, "does_not_exist"), ("poor", 1, "permission denied")):
            result = self.daemon.ctl("backup", name, "--wait")
            self.assertEqual(result.code != 0 and words in result.err, True, (name, result))
            self.assertNotIn("not it", result.err + result.out + self.daemon.log())
            self.assertNotEqual(self.daemon.ctl("database", "test", name).code, 0)
        refused = self.daemon.ctl("database", "add", "x", f"postgresql://app:secret@127.0.0.1:{self.server.port}/shop")
        self.assertEqual(refused.code, 64)
        self.assertNotIn("secret", refused.err)

    def test_a_socket_and_a_secret_nobody_sees(self):
        self.shop()
        d = self.daemon
        d.ok("database", "add", "local", f"postgresql://app@:{self.server.port}/shop?host={self.server.sockets}")
        d.ok("backup", "local", "--wait")
        # Programs that note how they were started, and then are the real ones.
        folder = d.path("programs")
        seen = d.path("seen")
        os.mkdir(folder)
        for name in ("pg_dump", "pg_restore"):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >>"{seen}"\nexec "{DEFAULT_PROGRAMS}/{name}" "$@"\n')
            os.chmod(os.path.join(folder, name), 0o755)
        self.add("watched", "shop", options=("program_folder=" + folder,))
        d.ok("backup", "watched", "--wait")
        d.ok("artifact", "drill", "latest", "--wait")
        with open(seen, "rb") as file:
            noted = file.read()
        self.assertIn(b"--schema-only", noted)
        self.assertIn(b"--section=post-data", noted)
        self.assertNotIn(self.server.password.encode(), noted)

    def hold(self, database, sql):
        """A session that holds a lock until its input is closed."""
        session = subprocess.Popen([os.path.join(DEFAULT_PROGRAMS, "psql"), "-X", "-q", "-A", "-t", "-d", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=self.server.environment(), text=True)
        self.addCleanup(session.stdout.close)
        session.stdin.write(sql + ";\nSELECT 'held';\n")
        session.stdin.flush()
        self.assertEqual(session.stdout.readline(), "held\n")
        return session

    def test_locks_cancels_and_lost_connections(self):
        self.shop()
        d = self.daemon
        self.add("impatient", "shop", options=("lock_timeout=200ms",))
        lock = self.hold("shop", "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        self.addCleanup(lock.kill)
        result = d.ctl("backup", "impatient", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("lock timeout", result.err)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbbackup' AND wait_event_type = 'Lock'"
        for end in ("cancel", "kill"):
            run = d.json("backup", "shop")
            run = run.get("run", run)["id"]
            until(lambda: self.server.sql(waiting) == "1", "the backup does not wait for the lock")
            started = time.monotonic()
            if end == "cancel":
                d.ok("run", "cancel", run)
                self.assertEqual(d.ctl("run", "wait", run).code, 130)
                self.assertLess(time.monotonic() - started, 5)
            else:
                self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dbbackup'")
                result = d.ctl("run", "wait", run)
                self.assertEqual(result.code, 1, result)
                self.assertEqual(d.json("run", "show", run)["run"]["error"]["code"], "unavailable")
            until(lambda: self.server.sql(waiting) == "0", "a session of the backup is left")
        lock.stdin.close()
        lock.wait()
        d.ok("backup", "shop", "--wait")

    def test_a_crashed_drill_leaves_nothing(self):
        self.shop()
        d = self.daemon
        self.server.sql("CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 FROM (SELECT pg_sleep(0.01)) q'; CREATE INDEX slow ON orders (public.slow(id))", "shop")
        artifact = d.backup("shop")
        d.json("artifact", "drill", artifact)
        until(lambda: any("scratch" in name for name in self.server.databases()), "no scratch database appears")
        d.kill()
        self.assertTrue(any("scratch" in name for name in self.server.databases()))
        d.start()
        self.server.sql("DROP INDEX slow", "shop")
        until(lambda: self.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbbackup'") == "0", "sessions of the killed daemon stay")
        artifact = d.backup("shop")
        d.ok("artifact", "drill", artifact, "--wait")
        self.assertEqual([name for name in self.server.databases() if "scratch" in name], [])

    def test_a_large_table_shares_chunks_and_workers(self):
        self.drop("large", "large2")
        self.server.create("large", "CREATE TABLE wide (id bigint PRIMARY KEY, t text); INSERT INTO wide SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 300000) i; "
                                    "CREATE TABLE heap (t text); INSERT INTO heap SELECT t FROM wide; VACUUM ANALYZE")
        self.add("large", "large")
        self.add("large2", "large2", restore=True)
        first = self.daemon.backup("large")
        streams = [stream["name"] for stream in self.daemon.json("artifact", "show", first)["artifact"]["streams"]]
        for table in ("wide", "heap"):
            self.assertGreater(len([name for name in streams if name.startswith(f"data/public.{table}/")]), 1, streams)
        self.server.sql("UPDATE wide SET t = 'changed' WHERE id BETWEEN 1000 AND 4000; INSERT INTO wide VALUES (300001, 'new')", "large")
        second = self.daemon.backup("large")
        added = self.daemon.json("artifact", "show", second)["artifact"]["statistics"]
        self.assertLess(added["added_bytes"], 0.05 * self.daemon.json("artifact", "show", first)["artifact"]["statistics"]["added_bytes"])
        self.daemon.ok("restore", second, "--to", "large2", "--wait")
        self.same("large", "large2")
        self.drop("large", "large2")

    def test_many_tables_and_an_empty_database(self):
        self.drop("many", "empty", "empty2")
        self.server.create("empty")
        self.add("empty", "empty")
        self.daemon.backup("empty")
        self.daemon.ok("artifact", "drill", "latest", "--wait")
        self.server.create("many", "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, x text)', i); "
                                   "EXECUTE format('INSERT INTO t%s VALUES (1, %L)', i, i); END LOOP; END $$")
        self.add("many", "many")
        self.daemon.backup("many")
        self.daemon.ok("artifact", "drill", "latest", "--wait")
        self.drop("many", "empty")

    def test_other_encodings(self):
        for encoding, value in (("LATIN1", "E'\\344\\366\\374'"), ("SQL_ASCII", "E'\\377\\376 no utf-8'")):
            self.drop("coded", "coded2")
            self.server.sql(f"CREATE DATABASE coded TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
            self.server.sql(f"SET client_encoding = '{encoding}'; CREATE TABLE t (x text); INSERT INTO t VALUES ({value})", "coded")
            name = encoding.lower().replace("_", "-")
            self.add(name, "coded")
            self.add(name + "2", "coded2", restore=True)
            artifact = self.daemon.backup(name)
            self.daemon.ok("restore", artifact, "--to", name + "2", "--wait")
            self.assertEqual(self.server.sql("SELECT encode(textsend(x), 'hex'), getdatabaseencoding() FROM t", "coded"),
                             self.server.sql("SELECT encode(textsend(x), 'hex'), getdatabaseencoding() FROM t", "coded2"))
        self.drop("coded", "coded2")

    def test_a_restarted_server_is_a_reason_to_try_again(self):
        self.shop()
        self.server.stop(signal.SIGINT)
        try:
            result = self.daemon.ctl("backup", "shop", "--wait")
            self.assertEqual(result.code, 1, result)
            self.assertIn("(unavailable)", result.err)
        finally:
            self.server.start()
        self.daemon.ok("backup", "shop", "--wait")


if __name__ == "__main__":
    main()
