"""MySQL and MariaDB on real servers, through dbbackupctl: what comes back is what was there.

Servers: MariaDB 10.11 of Debian and MariaDB 11.4 of the Maven artifact always, a MySQL 8 when there is one (support/mariadb.py).
"""
import os
import re
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, main  # noqa: E402
from mariadb import PASSWORD, Server, find_mysql_8  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def fidelity_script(vendor):
    """The script without the sections of other vendors; LATIN1_BYTE becomes a byte that is not UTF-8."""
    lines, skipping = [], False
    with open(os.path.join(HERE, "mariadb_fidelity.sql"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("-- only: "):
                skipping = line.split()[2] != vendor
            elif line.startswith("-- end"):
                skipping = False
            elif not skipping:
                lines.append(line)
    return "".join(lines).encode().replace(b"LATIN1_BYTE", b"\xc4rger")


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def answers(server, database, statements):
    """The output of each statement, from one run of the client."""
    mark = b"@@@ next answer @@@\n"
    script = "SET time_zone='+00:00', sql_mode='', character_set_results=NULL;\n" + "".join(
        f"SELECT '{mark.decode().strip()}';\n{statement};\n" for statement in statements)
    done = server.client(database, script)
    assert done.returncode == 0, f"{done.stderr.decode(errors='replace')}"
    return done.stdout.split(mark)[1:]


def content(server, database):
    """SHOW CREATE of every object, and every value of every row as HEX; independent of the engine under test."""
    listing = [part.decode().splitlines() for part in answers(server, database, [
        "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA=DATABASE()",
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA=DATABASE() ORDER BY ORDINAL_POSITION",
        "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=DATABASE()",
        "SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=DATABASE()",
        "SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA=DATABASE()"])]
    columns = {}
    for line in listing[1]:
        table, column, data_type = line.split("\t")
        # HEX of a float would be that of its six digits.
        value = f"CAST({quoted(column)} AS DOUBLE)" if data_type == "float" else quoted(column)
        columns.setdefault(table, []).append(f"COALESCE(HEX(CAST({value} AS BINARY)),'-')")
    wanted = {"database": "SELECT @@character_set_database, @@collation_database",
              "trigger order": "SELECT EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER, TRIGGER_NAME FROM "
                               "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=DATABASE() ORDER BY 1,2,3,4"}
    for line in listing[0]:
        name, kind = line.split("\t")
        word = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}.get(kind, "TABLE")
        wanted[f"{word} {name}"] = f"SHOW CREATE {word} {quoted(name)}"
        if kind == "SEQUENCE":
            wanted[f"rows {name}"] = f"SELECT next_not_cached_value, cycle_count FROM {quoted(name)}"
        elif kind != "VIEW":
            hidden = ["row_start", "row_end"] if name == "versioned" else []
            history = " FOR SYSTEM_TIME ALL" if kind == "SYSTEM VERSIONED" else ""
            wanted[f"rows {name}"] = f"SELECT CONCAT_WS(',',{','.join(columns[name] + hidden)}) FROM {quoted(name)}{history}"
    for line in listing[2] + listing[3] + listing[4]:
        kind, name = line.split("\t")
        wanted[f"{kind} {name}"] = f"SHOW CREATE {kind} {quoted(name)}"
    found = {}
    for name, answer in zip(wanted, answers(server, database, wanted.values())):
        if name.startswith("rows "):
            found[name] = sorted(answer.splitlines())
            continue
        # A trigger shows when it was made; that is the one thing which may differ. Defaults that draw from a sequence name
        # their database.
        answer = re.sub(rb"\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d\n$", b"\n", answer)
        found[name] = answer.replace(quoted(database).encode() + b".", b"`?`.")
    return found


def add(daemon, name, server, database, user="backup", password=PASSWORD, **more):
    options = [word for pair in more.get("options", ()) for word in ("--option", pair)]
    daemon.ok("database", "add", name, server.url(database, user, more.get("scheme", "mariadb"), more.get("parameters", "")),
              "--password-stdin", *options, stdin=password)


def restored(daemon, name, *arguments):
    daemon.ok("database", "allow-restore", name)
    return daemon.ctl("restore", *arguments, "--to", name, "--wait")


class WithServer(unittest.TestCase):
    kind = "debian"
    vendor = "mariadb"
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.kind, cls.options)
        cls.daemon = Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()
        cls.server.close()

    def equal(self, expected, actual):
        self.assertEqual(sorted(expected), sorted(actual))
        for name, value in expected.items():
            self.assertEqual(value, actual[name], name)


class Fidelity(WithServer):
    """The checklist into an empty server that differs in its settings."""

    target_options = ("--sql-mode=ANSI_QUOTES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE", "--default-time-zone=+09:30",
                      "--max-allowed-packet=1M", "--character-set-server=latin1", "--event-scheduler=ON", "--skip-log-bin")

    def test_everything_comes_back(self):
        self.server.sql("CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        done = self.server.client("shop", fidelity_script(self.vendor), binary=True)
        self.assertEqual(0, done.returncode, done.stderr)
        expected = content(self.server, "shop")
        add(self.daemon, "shop", self.server, "shop")
        artifact = self.daemon.backup("shop")

        with self.subTest("drill on the same server"):
            drill = self.daemon.ctl("artifact", "drill", artifact, "--wait")
            self.assertEqual(0, drill.code, f"{drill}\n{self.daemon.log()[-3000:]}")
            self.assertNotIn("drill", self.server.sql("SHOW DATABASES"))
        with self.subTest("an empty server"), Server(self.kind, self.target_options) as other:
            add(self.daemon, "other", other, "shop", options=["users=restore"])
            result = restored(self.daemon, "other", artifact)
            self.assertEqual(0, result.code, f"{result}\n{self.daemon.log()[-3000:]}")
            self.equal(expected, content(other, "shop"))
            again = self.daemon.backup("other")
            difference = self.daemon.json("artifact", "diff", artifact, again)
            self.assertFalse([stream for stream in difference["streams"] if stream["change"] != "same"
                              and stream["name"] != "schema/users"] if "streams" in difference else [], difference)
        with self.subTest("another name, without LOAD DATA"):
            self.server.sql("SET GLOBAL local_infile=0")
            add(self.daemon, "copy", self.server, "other name")
            result = restored(self.daemon, "copy", artifact)
            self.server.sql("SET GLOBAL local_infile=1")
            self.assertEqual(0, result.code, f"{result}\n{self.daemon.log()[-3000:]}")
            self.equal(expected, content(self.server, "other name"))
        with self.subTest("replace"):
            self.server.sql("DELETE FROM moments; DROP VIEW z_sums; CREATE TABLE more (a INT)", "other name")
            result = restored(self.daemon, "copy", artifact)
            self.assertEqual(6, result.code, result)
            result = restored(self.daemon, "copy", artifact, "--mode", "replace", "--yes")
            self.assertEqual(0, result.code, result)
            self.equal(expected, content(self.server, "other name"))
        with self.subTest("export as SQL"):
            script = self.daemon.path("dump.sql")
            self.daemon.ok("artifact", "export", artifact, "--format", "sql", "--to", script, "--wait")
            self.server.sql("CREATE DATABASE loaded CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            with open(script, "rb") as file:
                done = self.server.client("loaded", file.read(), binary=True)
            self.assertEqual(0, done.returncode, done.stderr)
            # A script has the names as they were.
            loaded = {name: value.replace(b"`shop`.", b"`?`.") if isinstance(value, bytes) else value
                      for name, value in content(self.server, "loaded").items()}
            self.equal(expected, loaded)


class FidelityNewer(Fidelity):
    kind = "mariadb-11.4"


@unittest.skipIf(find_mysql_8() is None, "no mysqld of version 8: name one with DBBACKUP_MYSQLD")
class FidelityMySql(Fidelity):
    kind = "mysql-8"
    vendor = "mysql"


class Behaviour(WithServer):
    """Consistency, refusals, cancelling and what is left behind."""

    options = ("--innodb-lock-wait-timeout=2", "--max-allowed-packet=16M")

    def make(self, name, script):
        self.server.sql(f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4")
        self.server.sql(script, name)
        if f"\n{name} " not in "\n" + self.daemon.ok("database", "list").out:
            add(self.daemon, name, self.server, name)

    def start_slowly(self, database):
        """Starts a backup in which every row takes a second; returns the run's id."""
        self.daemon.ok("job", "add", f"{database}_job", "--database", database, "--where", "t=SLEEP(1) = 0", "--retries", "0")
        return self.daemon.ok("-o", "name", "job", "run", f"{database}_job").out.strip()

    def wait_until(self, what, holds):
        deadline = time.monotonic() + 60
        while not holds():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def test_writers_during_the_backup(self):
        """Money moves between accounts of three tables all the time; in every artifact the sum is right."""
        self.make("bank", """
            CREATE TABLE a (id INT PRIMARY KEY, money INT NOT NULL, filler CHAR(200) DEFAULT 'x');
            CREATE TABLE b LIKE a; CREATE TABLE c LIKE a;
            INSERT INTO a SELECT seq, 100, REPEAT('f', 200) FROM seq_1_to_5000;
            INSERT INTO b SELECT * FROM a; INSERT INTO c SELECT * FROM a;""")
        stop, moved = threading.Event(), []

        def move(number):
            done = 0
            while not stop.is_set():
                done += 1
                self.server.sql("".join(
                    f"START TRANSACTION; UPDATE a SET money=money-{n} WHERE id={number * 1000 + n}; "
                    f"UPDATE b SET money=money+{n} WHERE id={n + 1}; UPDATE c SET money=money-1 WHERE id={n + 1}; "
                    f"UPDATE a SET money=money+1 WHERE id={n + 7}; COMMIT;" for n in range(1, 40)), "bank")
            moved.append(done)

        writers = [threading.Thread(target=move, args=(number,)) for number in range(3)]
        for writer in writers:
            writer.start()
        try:
            artifacts = [self.daemon.backup("bank") for _ in range(3)]
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        self.assertEqual(3, len([count for count in moved if count > 0]))
        add(self.daemon, "bank_copy", self.server, "bank_copy")
        for artifact in artifacts:
            result = restored(self.daemon, "bank_copy", artifact, "--mode", "replace", "--yes")
            self.assertEqual(0, result.code, result)
            total = self.server.sql("SELECT (SELECT SUM(money) FROM a)+(SELECT SUM(money) FROM b)+(SELECT SUM(money) FROM c)", "bank_copy")
            self.assertEqual("1500000", total.strip())
        shown = self.daemon.json("artifact", "show", artifacts[0])
        consistency = shown.get("artifact", shown)["consistency"]
        self.assertEqual("snapshot", consistency["kind"])
        self.assertRegex(consistency["position"], r"binlog\.\d+:\d+ gtid 0-1-\d+")

    def test_a_big_table_in_ranges(self):
        self.make("big", """
            CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, filler VARCHAR(250), parent BIGINT, KEY by_a (a), CONSTRAINT own FOREIGN KEY (parent) REFERENCES t (id));
            INSERT INTO t SELECT CAST(seq AS SIGNED) * 7 - 1000000, seq, CONCAT(MD5(seq), REPEAT(MD5(seq * 3), 6)), NULL FROM seq_1_to_300000; ANALYZE TABLE t;""")
        artifact = self.daemon.backup("big")
        shown = self.daemon.json("artifact", "show", artifact)
        streams = [stream for stream in shown.get("artifact", shown)["streams"] if stream["name"].startswith("data/big.t#")]
        self.assertGreater(len(streams), 1)
        self.assertEqual(300000, sum(stream["rows"] for stream in streams))
        add(self.daemon, "big_copy", self.server, "big_copy")
        result = restored(self.daemon, "big_copy", artifact)
        self.assertEqual(0, result.code, result)
        self.assertEqual(self.server.sql("SHOW CREATE TABLE t; CHECKSUM TABLE t", "big").replace("big.t", "t"),
                         self.server.sql("SHOW CREATE TABLE t; CHECKSUM TABLE t", "big_copy").replace("big_copy.t", "t"))
        self.server.sql("UPDATE t SET a = a + 1 WHERE id BETWEEN 500000 AND 514000", "big")
        again = self.daemon.json("artifact", "show", self.daemon.backup("big"))
        statistics = again.get("artifact", again)["statistics"]
        self.assertLess(statistics["added_bytes"], statistics["source_bytes"] * 0.05)

    def test_chosen_tables_append_and_refusals(self):
        self.make("mixed", """CREATE TABLE one (id INT PRIMARY KEY); CREATE TABLE two (id INT PRIMARY KEY); INSERT INTO one VALUES (1), (2);
            INSERT INTO two VALUES (1);""")
        artifact = self.daemon.backup("mixed")
        add(self.daemon, "target", self.server, "target")
        result = restored(self.daemon, "target", artifact, "--include", "one")
        self.assertEqual(0, result.code, result)
        self.assertEqual("one\n", self.server.sql("SHOW TABLES", "target"))
        result = restored(self.daemon, "target", artifact, "--include", "one", "--mode", "append")
        self.assertEqual(6, result.code, result)
        self.assertEqual("2\n", self.server.sql("SELECT COUNT(*) FROM one", "target"))
        self.server.sql("DELETE FROM one; INSERT INTO one VALUES (7)", "target")
        result = restored(self.daemon, "target", artifact, "--include", "one", "--mode", "append")
        self.assertEqual(0, result.code, result)
        self.assertEqual("1\n2\n7\n", self.server.sql("SELECT id FROM one ORDER BY id", "target"))
        result = self.daemon.ctl("backup", "mixed", "--include", "onne", "--wait")
        self.assertNotEqual(0, result.code, result)
        self.assertIn('did you mean "one"', result.err)

    def test_wrong_password_and_missing_privileges(self):
        self.make("guarded", "CREATE TABLE t (a INT) ENGINE=MyISAM; CREATE VIEW v AS SELECT 1")
        add(self.daemon, "wrong", self.server, "guarded", password="no")
        result = self.daemon.ctl("backup", "wrong", "--wait")
        self.assertNotEqual(0, result.code)
        self.assertIn("Access denied", result.err)
        self.assertIn("set-password", result.err)
        self.server.sql("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT ON guarded.* TO reader@'127.0.0.1'")
        add(self.daemon, "reader", self.server, "guarded", user="reader", password="p")
        result = self.daemon.ctl("database", "test", "reader")
        for missing in ("views would be missing", "triggers would be missing", "events would be missing", "GRANT SHOW VIEW ON"):
            self.assertIn(missing, result.out + result.err)
        result = self.daemon.ctl("backup", "reader", "--wait")
        self.assertNotEqual(0, result.code)
        self.assertIn("may not lock", result.err)
        self.server.sql("GRANT LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON guarded.* TO reader@'127.0.0.1'")
        shown = self.daemon.json("artifact", "show", self.daemon.backup("reader"))
        self.assertEqual("snapshot", shown.get("artifact", shown)["consistency"]["kind"])

    def test_cancel_ends_the_statement(self):
        self.make("slow", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_1000")
        run = self.start_slowly("slow")
        sleeping = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
        self.wait_until("the server reads slowly", lambda: self.server.sql(sleeping).strip() != "0")
        began = time.monotonic()
        self.daemon.ok("run", "cancel", run)
        self.daemon.ctl("run", "wait", run)
        self.assertLess(time.monotonic() - began, 5)
        shown = self.daemon.json("run", "show", run)
        self.assertEqual("cancelled", shown.get("run", shown)["state"])
        self.wait_until("the statement is gone", lambda: self.server.sql(sleeping).strip() == "0")

    def test_leftovers_of_a_crashed_drill(self):
        self.make("drilled", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
        self.server.sql("CREATE DATABASE dbbackup_drill_dead; CREATE TABLE dbbackup_drill_dead.x (a INT)")
        artifact = self.daemon.backup("drilled")
        self.daemon.ok("artifact", "drill", artifact, "--wait")
        self.assertNotIn("dbbackup_drill", self.server.sql("SHOW DATABASES"))

    def test_a_failed_restore_leaves_nothing(self):
        """The login may not create routines: the database that the restore had made goes again."""
        self.make("source", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=MyISAM; INSERT INTO t VALUES (1, 'x')")
        self.server.sql("CREATE FUNCTION needs() RETURNS INT DETERMINISTIC RETURN 1", "source")
        artifact = self.daemon.backup("source")
        self.server.sql("CREATE OR REPLACE USER weak@'127.0.0.1' IDENTIFIED BY 'p'; "
                        "GRANT SELECT, INSERT, CREATE, DROP, ALTER, INDEX, EVENT, TRIGGER ON weakly.* TO weak@'127.0.0.1'")
        add(self.daemon, "weakly", self.server, "weakly", user="weak", password="p")
        result = restored(self.daemon, "weakly", artifact)
        self.assertNotEqual(0, result.code)
        self.assertIn("function needs", result.err)
        self.assertNotIn("weakly", self.server.sql("SHOW DATABASES"))

    def test_a_lost_server_is_worth_a_retry(self):
        self.make("lost", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_1000")
        run = self.start_slowly("lost")
        sleeping = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
        self.wait_until("the server reads slowly", lambda: self.server.sql(sleeping).strip() != "")
        self.server.sql(f"KILL {self.server.sql(sleeping).split()[0]}")
        self.daemon.ctl("run", "wait", run)
        shown = self.daemon.json("run", "show", run)
        self.assertEqual("unavailable", shown.get("run", shown)["error"]["code"])


if __name__ == "__main__":
    main()
