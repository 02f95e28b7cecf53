#!/usr/bin/python3
"""PostgreSQL: backup and restore beside pg_dump and pg_restore, on the same server, medians of the same run.

Usage: tests/bench/postgresql_bench.py [MEGABYTES] [REPEATS]     default 1024 and 3

The database is half pgbench tables, half wide rows of text and JSON. Times are wall clock; `cpu` is user + system of the daemon (or of
the program) without the server, `server` that of the server.
"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon  # noqa: E402
from postgresql import PostgresqlServer  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid, children=True):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15 if children else 13]) / TICKS


def server_cpu(server):
    """Of the postmaster, of its children that are gone and of those that live."""
    total = cpu_of(server.process.pid)
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False).stdout
    for pid in listing.split():
        try:
            total += cpu_of(pid)
        except OSError:
            pass
    return total


class Bench:
    def __init__(self, megabytes, repeats):
        self.repeats = repeats
        self.megabytes = megabytes
        self.results = {}

    def measure(self, name, work, server, cpu):
        before_server, before_cpu, started = server_cpu(server), cpu(), time.monotonic()
        value = work()
        took = time.monotonic() - started
        self.results.setdefault(name, []).append((took, cpu() - before_cpu, server_cpu(server) - before_server))
        return value

    def median(self, name, column=0):
        return statistics.median(result[column] for result in self.results[name])

    def show(self, name):
        print(f"{name:52} {self.median(name):7.2f} s   cpu {self.median(name, 1):6.2f}   server {self.median(name, 2):6.2f}", flush=True)

    def ratio(self, what, left, right, limit):
        value = self.median(left) / self.median(right)
        print(f"  {what}: {value:.2f} x (wanted at most {limit} x), cpu with server {self.all_cpu(left) / self.all_cpu(right):.2f} x", flush=True)

    def all_cpu(self, name):
        return self.median(name, 1) + self.median(name, 2)


def fill(server, megabytes):
    server.create("source")
    server.program("pgbench", "-i", "-q", "-s", str(max(1, megabytes // 2 // 15)), "source")
    rows = megabytes * 1024 * 1024 // 2 // 420
    server.sql("CREATE TABLE wide (id bigint PRIMARY KEY, name text, body text, doc jsonb, at timestamptz, amount numeric); "
               f"INSERT INTO wide SELECT i, 'name ' || i, md5(i::text) || repeat(' lorem ipsum ' || i % 100, 8), "
               "jsonb_build_object('id', i, 'tags', ARRAY[md5((i * 7)::text), 'b'], 'n', i * 1.5), '2020-01-01'::timestamptz + i * '1 s'::interval, i * 0.01 "
               f"FROM generate_series(1, {rows}) i; CREATE INDEX wide_name ON wide (name)", "source")
    server.sql("VACUUM ANALYZE", "source")
    server.sql("CHECKPOINT")


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    bench = Bench(megabytes, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    with PostgresqlServer(settings=["shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=1h", "autovacuum=off"]) as server:
        fill(server, megabytes)
        run(bench, server)


def shell(server, command):
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, env=dict(server.environment(), PATH=server.client + ":" + os.environ["PATH"]))


def children_cpu():
    times = os.times()
    return times.children_user + times.children_system


def run(bench, server):
    out = server.folder + "/dump"
    for _ in range(bench.repeats):
        bench.measure("pg_dump | zstd -3", lambda: shell(server, f"pg_dump source | zstd -3 -q -f -o {out}.zst"), server, children_cpu)
        bench.measure("pg_dump -Fd -j2 -Z0", lambda: shell(server, f"rm -rf {out}; pg_dump -Fd -j2 -Z0 -f {out} source"), server, children_cpu)
        with Daemon() as daemon:
            back_up_and_restore(bench, server, daemon)
        server.sql("DROP DATABASE IF EXISTS target WITH (FORCE)")
        server.sql("CREATE DATABASE target")
        bench.measure("pg_restore -j2", lambda: shell(server, f"pg_restore -j2 -d target {out}"), server, children_cpu)
        server.sql("DROP DATABASE target WITH (FORCE)")
    size = os.path.getsize(out + ".zst")
    print(f"{bench.megabytes} MB, medians of {bench.repeats}")
    for name in bench.results:
        bench.show(name)
    bench.ratio("first backup to pg_dump | zstd -3", "first backup", "pg_dump | zstd -3", 0.9)
    bench.ratio("unchanged backup to pg_dump -Fd -j2 -Z0", "unchanged backup", "pg_dump -Fd -j2 -Z0", 1.1)
    bench.ratio("restore to pg_restore -j2", "restore", "pg_restore -j2", 0.8)
    print(f"  stored: {bench.stored / size:.2f} x of the .zst (wanted at most 1.05 x)")
    print(f"  after 1 % changed in one place: {100 * bench.added / bench.stored:.1f} % added (wanted at most 3 %)")
    print(f"  peak resident memory of the daemon: {bench.peak / 1024:.0f} MiB (wanted below 256)")


def back_up_and_restore(bench, server, daemon):
    password = daemon.path("password")
    with open(password, "w", encoding="utf-8") as file:
        file.write(server.password)
    for name in ("source", "target"):
        daemon.ok("database", "add", name, server.url(name), "--password-file", password)
    daemon.ok("database", "allow-restore", "target")

    def cpu():
        return cpu_of(daemon.process.pid)

    def added(artifact):
        return daemon.json("artifact", "show", artifact)["artifact"]["statistics"]["added_bytes"]

    first = bench.measure("first backup", lambda: daemon.backup("source"), server, cpu)
    bench.stored = added(first)
    bench.measure("unchanged backup", lambda: daemon.backup("source"), server, cpu)
    server.sql("UPDATE wide SET amount = amount + 1 WHERE id < (SELECT max(id) / 100 FROM wide); "
               "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid < (SELECT max(aid) / 100 FROM pgbench_accounts)", "source")
    bench.added = added(daemon.backup("source"))
    bench.measure("restore", lambda: daemon.ok("restore", first, "--to", "target", "--wait", timeout=3600), server, cpu)
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
        bench.peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    server.sql("DROP DATABASE target WITH (FORCE)")


if __name__ == "__main__":
    main()
