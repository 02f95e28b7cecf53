#!/usr/bin/python3
"""MySQL and MariaDB side by side with mariadb-dump | zstd -3, mydumper and myloader, on one server that it starts itself.

    mariadb_bench.py [--megabytes N] [--rounds N] [--json FILE]

Prints wall seconds and CPU seconds (clients, daemon and server together) as medians, bytes stored, and ratios. The data: two large
tables of orders and events with text, numbers and dates.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon  # noqa: E402
from mariadb import PASSWORD, Server  # noqa: E402

ROW_BYTES = 220  # of the row text, about


def fill(server, megabytes):
    rows = megabytes * 1_000_000 // ROW_BYTES
    server.sql("CREATE DATABASE bench CHARACTER SET utf8mb4")
    server.sql("""
        CREATE TABLE orders (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, product INT NOT NULL, amount INT NOT NULL,
          price DECIMAL(10,2) NOT NULL, rate DOUBLE NOT NULL, made DATETIME NOT NULL, changed TIMESTAMP(3) NULL, state VARCHAR(12) NOT NULL, email VARCHAR(60) NOT NULL,
          note VARCHAR(250), KEY by_customer (customer), KEY by_made (made));
        CREATE TABLE events LIKE orders;""", "bench")
    for table, share in (("orders", 0.75), ("events", 0.25)):
        server.sql(f"""
            INSERT INTO {table} SELECT seq, FLOOR(RAND(seq)*100000), FLOOR(RAND(seq+1)*5000), seq % 17, ROUND(RAND(seq+2)*1000,2), RAND(seq+3),
              '2020-01-01' + INTERVAL seq SECOND, '2021-01-01' + INTERVAL seq SECOND, ELT(1+seq%5,'new','paid','packed','sent','returned'),
              CONCAT('customer', FLOOR(RAND(seq)*100000), '@example.com'),
              CONCAT(MD5(seq), ' order of ', seq % 1000, ' things, leave at the door number ', FLOOR(RAND(seq+4)*500), ' please ', MD5(seq * 7))
            FROM seq_1_to_{int(rows * share)}; ANALYZE TABLE {table}""", "bench")
    return rows


class Meter:
    """Wall and CPU seconds of a step: children, server and daemon."""

    def __init__(self, server, daemon):
        self.server, self.daemon = server, daemon

    def cpu(self):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(f"/proc/{self.daemon.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return children.ru_utime + children.ru_stime + own + self.server.cpu_seconds()

    def run(self, step):
        wall, cpu = time.monotonic(), self.cpu()
        step()
        return time.monotonic() - wall, self.cpu() - cpu


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(folder) for name in names)


def peak_memory(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = {}

    def note(name, measured, stored=None):
        entry = results.setdefault(name, {"wall_seconds": [], "cpu_seconds": []})
        entry["wall_seconds"].append(round(measured[0], 2))
        entry["cpu_seconds"].append(round(measured[1], 2))
        if stored is not None:
            entry["stored_bytes"] = stored

    with Server(options=["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--skip-log-bin", "--local-infile=1"]) as server, \
            Daemon() as daemon:
        rows = fill(server, arguments.megabytes)
        print(f"{rows} rows", file=sys.stderr)
        meter = Meter(server, daemon)
        daemon.ok("database", "add", "bench", server.url("bench"), "--password-stdin", stdin=PASSWORD)
        daemon.ok("database", "add", "copy", server.url("copy"), "--password-stdin", stdin=PASSWORD)
        login = f"--socket={server.socket} --user=root"
        work = daemon.path("work")
        os.mkdir(work)
        dump = os.path.join(work, "dump.zst")
        tree = os.path.join(work, "tree")
        shell = lambda command: subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: E731
        os.chmod(work, 0o777)
        for number in range(arguments.rounds):
            note("mariadb-dump | zstd -3",
                 meter.run(lambda: shell(f"mariadb-dump --no-defaults {login} --single-transaction bench | zstd -3 -q -f -o {dump}")),
                 os.path.getsize(dump) if os.path.exists(dump) else None)
            results["mariadb-dump | zstd -3"]["stored_bytes"] = os.path.getsize(dump)
            shutil.rmtree(tree, ignore_errors=True)
            note("mydumper -t2", meter.run(lambda: shell(f"mydumper {login} -B bench -t 2 -r 100000 -o {tree}")))
            results["mydumper -t2"]["stored_bytes"] = folder_bytes(tree)
            repository = f"r{number}"
            daemon.ok("repository", "add", repository, f"file://{daemon.path(repository)}")
            note("first backup", meter.run(lambda: daemon.ok("backup", "bench", "--repository", repository, "--wait", timeout=900)))
            results["first backup"]["stored_bytes"] = folder_bytes(daemon.path(repository))
            note("unchanged backup", meter.run(lambda: daemon.ok("backup", "bench", "--repository", repository, "--wait", timeout=900)))
            server.sql("DROP DATABASE IF EXISTS loaded; CREATE DATABASE loaded")
            note("myloader -t2", meter.run(lambda: shell(f"myloader {login} -d {tree} -B loaded -t 2 -o")))
            server.sql("DROP DATABASE loaded; DROP DATABASE IF EXISTS copy")
            daemon.ok("database", "allow-restore", "copy")
            note("restore with proof", meter.run(lambda: daemon.ok("restore", "latest", "--to", "copy", "--wait", timeout=900)))
            server.sql("DROP DATABASE copy")
        before = folder_bytes(daemon.path(repository))
        low, high = rows * 3 // 8, rows * 3 // 8 + rows // 100
        server.sql(f"UPDATE orders SET note=REVERSE(note), amount=amount+1 WHERE id BETWEEN {low} AND {high}", "bench")
        note("after 1 % changed in one place", meter.run(lambda: daemon.ok("backup", "bench", "--repository", repository, "--wait", timeout=900)),
             folder_bytes(daemon.path(repository)) - before)
        results["daemon peak memory"] = {"bytes": peak_memory(daemon)}

    def median(name, what):
        return statistics.median(results[name][what])

    print(f"{'step':34} {'wall s':>8} {'CPU s':>8} {'stored MB':>10}")
    for name, entry in results.items():
        if "wall_seconds" in entry:
            stored = entry.get("stored_bytes")
            print(f"{name:34} {median(name, 'wall_seconds'):8.2f} {median(name, 'cpu_seconds'):8.2f} "
                  f"{stored / 1e6 if stored is not None else 0:10.1f}")
    print(f"daemon peak memory {results['daemon peak memory']['bytes'] / 2**20:.0f} MiB")
    for what in ("wall_seconds", "cpu_seconds"):
        print(what, "ratios: first/dump {:.2f}, unchanged/mydumper {:.2f}, restore/myloader {:.2f}".format(
            median("first backup", what) / median("mariadb-dump | zstd -3", what),
            median("unchanged backup", what) / median("mydumper -t2", what),
            median("restore with proof", what) / median("myloader -t2", what)))
    print("stored: first/dump {:.2f}, 1 % change adds {:.1f} %".format(
        results["first backup"]["stored_bytes"] / results["mariadb-dump | zstd -3"]["stored_bytes"],
        100 * results["after 1 % changed in one place"]["stored_bytes"] / results["first backup"]["stored_bytes"]))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
