"""MySQL and MariaDB on real servers, through dbbackupctl: what comes back is what was there.

Servers: MariaDB 10.11 of Debian and MariaDB 11.4 of the Maven artifact always, a MySQL 8 when there is one (support/mariadb.py).
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
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


if __name__ == "__main__":
    main()
