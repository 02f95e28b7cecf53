"""A private dbbackupd for black-box tests: its own state folder, socket and key in a temporary folder; stopped by pid.

    with Daemon() as daemon:
        daemon.ctl("database", "add", "shop", "sqlite:///tmp/shop.db")
"""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.environ.get("DBBACKUP_BIN") or os.path.join(os.path.dirname(__file__), "../../build/release")
SOURCE = os.environ.get("DBBACKUP_SOURCE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
DAEMON = os.path.join(BIN, "daemon/dbbackupd")
CTL = os.path.join(BIN, "ctl/dbbackupctl")
PATIENCE = 120  # seconds until a thing that must happen counts as not happening


class Result:
    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Daemon:
    def __init__(self, folder=None, config=None, environment=None, prefix=(), start=True):
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="dbbackup-test-")
        self.state = os.path.join(self.folder, "state")
        self.socket = os.path.join(self.folder, "s.sock")
        self.log_path = os.path.join(self.folder, "daemon.log")
        self.config = None
        if config is not None:
            self.config = os.path.join(self.folder, "dbbackupd.yaml")
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(config)
            os.chmod(self.config, 0o600)
        self.prefix = list(prefix)
        self.process = None
        if start:
            self.start(environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, environment=None, expect_ready=True):
        command = self.prefix + [DAEMON, "--foreground", "--state-dir", self.state, "--socket", self.socket]
        if self.config:
            command += ["--config", self.config]
        env = dict(os.environ, **(environment or {}))
        env.pop("NOTIFY_SOCKET", None)
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file, env=env)
        if not expect_ready:
            return
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"daemon ended with {self.process.returncode}: {self.log()}")
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    probe.connect(self.socket)
                if self.ctl("daemon", "version").code == 0:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"daemon is not ready: {self.log()}")

    def stop(self, signal_number=signal.SIGTERM):
        """Sends the signal and returns the exit status."""
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self):
        status = self.process.wait(PATIENCE)
        self.log_file.close()
        return status

    def kill(self):
        return self.stop(signal.SIGKILL)

    def close(self):
        if self.process and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def ctl(self, *arguments, stdin=None, environment=None, timeout=PATIENCE):
        env = dict(os.environ, DBBACKUP_SOCKET=self.socket, **(environment or {}))
        if stdin is None:
            source = {"stdin": subprocess.DEVNULL}
        else:
            source = {"input": stdin}
        return Result(subprocess.run([CTL, *arguments], capture_output=True, text=True, env=env, timeout=timeout, **source))

    def ok(self, *arguments, **more):
        result = self.ctl(*arguments, **more)
        if result.code != 0:
            raise AssertionError(f"dbbackupctl {' '.join(arguments)}: {result}\n--- daemon log:\n{self.log()[-4000:]}")
        return result

    def json(self, *arguments, **more):
        return self.ok("-o", "json", *arguments, **more).json

    def path(self, name):
        return os.path.join(self.folder, name)

    def backup(self, database):
        """Backs up and returns the artifact's id."""
        run = self.json("backup", database, "--wait")
        run = run.get("run", run)
        assert run["state"] == "succeeded", run
        return run["artifact"]


def make_shop(path, customers=500, orders=3000):
    """A small database with text, numbers, blobs, an index, a view, a trigger and a foreign key."""
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, photo BLOB);
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers(id), total REAL, note TEXT);
        CREATE INDEX orders_by_customer ON orders(customer);
        CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 500;
        CREATE TABLE log (at TEXT, line TEXT);
        CREATE TRIGGER orders_log AFTER DELETE ON orders BEGIN INSERT INTO log VALUES (datetime('now'), 'deleted ' || old.id); END;
    """)
    db.executemany("INSERT INTO customers VALUES (?,?,?,?)",
                   [(i, f"customer {i} Ärger", None if i % 7 == 0 else f"city {i % 50}", bytes([i % 256]) * (i % 40)) for i in range(1, customers + 1)])
    db.executemany("INSERT INTO orders VALUES (?,?,?,?)",
                   [(i, i % customers + 1, i * 1.1, f"note {i}\tline\nnext") for i in range(1, orders + 1)])
    db.commit()
    db.close()


def content(path):
    """Schema and all rows with types, in a form that compares."""
    db = sqlite3.connect(path)
    db.text_factory = bytes
    schema = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    tables = [row[1].decode() for row in schema if row[0] == b"table"]
    rows = {}
    for table in tables:
        quoted = '"' + table.replace('"', '""') + '"'
        rows[table] = sorted(db.execute(f"SELECT * FROM {quoted}").fetchall(), key=repr)
    pragmas = [db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "encoding", "user_version", "application_id")]
    db.close()
    return schema, rows, pragmas


def main():
    for program in (DAEMON, CTL):
        if not os.access(program, os.X_OK):
            sys.exit(f"{program} is missing: build first, or set DBBACKUP_BIN")
    unittest.main(verbosity=2)
