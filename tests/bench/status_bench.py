#!/usr/bin/python3
"""`status` with 10,000 runs, 1,000 jobs and 1,000 schedules: time of one call on an open connection, wanted under 5 ms."""
import json
import os
import socket
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, make_shop  # noqa: E402

CALLS = 300


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def call(self, method, **params):
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
        reply = json.loads(self.file.readline())
        if "error" in reply:
            raise AssertionError(reply)
        return reply["result"]


def clone_runs(path, count):
    """Copies of one real run under new ids, spread over the jobs."""
    db = sqlite3.connect(path)
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    row = dict(zip(columns, db.execute("SELECT * FROM runs LIMIT 1").fetchone()))
    marks = ",".join("?" * len(columns))
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    for number in range(count):
        tail = "".join(alphabet[(number >> (5 * k)) & 31] for k in range(3, -1, -1))
        clone = dict(row, id=row["id"][:22] + tail, job=f"job-{number % 1000}")
        if clone["id"] != row["id"]:
            db.execute(f"INSERT OR IGNORE INTO runs VALUES ({marks})", [clone[c] for c in columns])
    db.commit()
    db.close()


def main():
    with Daemon() as daemon:
        shop = daemon.path("shop.db")
        make_shop(shop, customers=5, orders=5)
        daemon.ok("database", "add", "shop", f"sqlite://{shop}")
        connection = Connection(daemon.socket)
        for number in range(1000):
            connection.call("job.add", name=f"job-{number}", database="shop")
            connection.call("schedule.add", name=f"schedule-{number}", job=f"job-{number}", cron=f"{number % 60} 3 * * 0")
        daemon.ok("job", "run", "job-0", "--wait")
        daemon.stop()
        clone_runs(os.path.join(daemon.state, "control.db"), 10000)
        daemon.start()
        connection = Connection(daemon.socket)
        status = connection.call("status.show")
        assert len(status["jobs"]) == 1000
        times = []
        for _ in range(CALLS):
            begin = time.monotonic()
            connection.call("status.show")
            times.append((time.monotonic() - begin) * 1000)
        median = statistics.median(times)
        print(f"status with 10,000 runs, 1,000 jobs, 1,000 schedules: median {median:.2f} ms, worst {max(times):.2f} ms of {CALLS} calls; "
              f"wanted < 5 ms: {'ok' if median < 5 else 'MISSED'}")


main()
