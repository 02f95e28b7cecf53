#!/usr/bin/python3
"""A control database with 1,000,000 runs: start, `status` (wanted < 5 ms), lists of runs, and how long trimming holds others up."""
import json
import os
import resource
import socket
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, make_shop  # noqa: E402

RUNS = int(os.environ.get("DBBACKUP_BENCH_RUNS", "1000000"))
JOBS = 100
CALLS = 100
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


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


def ulid(milliseconds, number):
    text = ""
    for value, digits in ((milliseconds, 10), (number, 16)):
        part = ""
        for _ in range(digits):
            part = ALPHABET[value & 31] + part
            value >>= 5
        text += part
    return text


def fill(path, count):
    """Copies of one real run, one a minute up to now, spread over the jobs, with a log line for every tenth."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous=OFF")
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    sample = dict(zip(columns, db.execute("SELECT * FROM runs LIMIT 1").fetchone()))
    now = int(time.time() * 1000)

    def rows():
        for number in range(count):
            at = now - (count - number) * 20_000
            state = "failed" if number % 50 == 0 else "succeeded"
            row = dict(sample, id=ulid(at, number), job=f"job-{number % JOBS}", state=state, queued_at=at, started_at=at,
                       finished_at=at + 1000)
            yield [row[c] for c in columns]
    db.executemany(f"INSERT INTO runs VALUES ({','.join('?' * len(columns))})", rows())
    db.execute("INSERT INTO log_lines SELECT id, 0, queued_at, 'info', 'backing up' FROM runs WHERE rowid % 10 = 0")
    db.commit()
    db.close()


def measure(name, call, wanted=None):
    times = []
    for _ in range(CALLS):
        begin = time.monotonic()
        call()
        times.append((time.monotonic() - begin) * 1000)
    median = statistics.median(times)
    verdict = "" if wanted is None else f"; wanted < {wanted} ms: {'ok' if median < wanted else 'MISSED'}"
    print(f"{name}: median {median:.2f} ms, worst {max(times):.2f} ms of {CALLS} calls{verdict}", flush=True)


def main():
    with Daemon() as daemon:
        shop = daemon.path("shop.db")
        make_shop(shop, customers=5, orders=5)
        daemon.ok("database", "add", "shop", f"sqlite://{shop}")
        connection = Connection(daemon.socket)
        for number in range(JOBS):
            connection.call("job.add", name=f"job-{number}", database="shop")
        daemon.ok("job", "run", "job-0", "--wait")
        daemon.stop()
        control = os.path.join(daemon.state, "control.db")
        begin = time.monotonic()
        fill(control, RUNS)
        print(f"{RUNS} runs written in {time.monotonic() - begin:.0f} s, {os.path.getsize(control) >> 20} MiB", flush=True)
        begin = time.monotonic()
        daemon.start()
        print(f"start: {time.monotonic() - begin:.1f} s", flush=True)
        connection = Connection(daemon.socket)
        measure("status", lambda: connection.call("status.show"), 5)
        measure("run list --limit 20", lambda: connection.call("run.list", limit=20), 5)
        measure("run list --job J --limit 20", lambda: connection.call("run.list", job="job-7", limit=20), 5)
        measure("run list --state failed --limit 20", lambda: connection.call("run.list", state="failed", limit=20), 5)
        newest = connection.call("run.list", limit=1)["runs"][0]["id"]
        measure("run show", lambda: connection.call("run.show", run=newest), 5)
        measure("job list", lambda: connection.call("job.list"))
        daemon.stop()
        # Half of them are beyond a limit: trimming at the start, and what it does to others meanwhile.
        config = os.path.join(daemon.folder, "dbbackupd.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"history: {{max_runs: {max(1000, RUNS // 2)}}}\n")
        os.chmod(config, 0o600)
        daemon.config = config
        begin = time.monotonic()
        daemon.start()
        connection = Connection(daemon.socket)
        worst = 0.0
        reader = sqlite3.connect(f"file:{control}?mode=ro", uri=True)
        while reader.execute("SELECT count(*) FROM runs").fetchone()[0] > max(1000, RUNS // 2):
            asked = time.monotonic()
            connection.call("status.show")
            worst = max(worst, (time.monotonic() - asked) * 1000)
        print(f"trimmed to {max(1000, RUNS // 2)} runs within {time.monotonic() - begin:.1f} s, `status` meanwhile at worst {worst:.1f} ms")
        daemon.stop()
        print(f"file afterwards: {os.path.getsize(control) >> 20} MiB; "
              f"daemon's peak memory: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB")


main()
